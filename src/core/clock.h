/* clock.h: the only source of time, and the only ways to wait.
 *
 * Tests drive it from outside the process: when PGSLUICE_TEST_CLOCK names a file, the file holds
 * one int64 (native order): microseconds added to both clocks. The file is mapped, so a change is
 * seen at once, also by a waiting thread (waits look at the clock at least every 50 ms).
 *
 * sl_stop is a request to stop that any thread can see and wait for. */
#ifndef SL_CORE_CLOCK_H
#define SL_CORE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Microseconds since 1970-01-01 UTC. */
int64_t sl_now_us(void);
/* Microseconds of a clock that never goes back (durations, deadlines). */
int64_t sl_mono_us(void);

#define SL_PG_EPOCH_US INT64_C(946684800000000) /* 2000-01-01 UTC, PostgreSQL's zero */

/* "2026-11-22T13:45:01.123Z" into buf (at least 32 bytes); returns buf. */
char *sl_time_text(int64_t us, char *buf);
/* Reads that form (UTC, fractions of a second may be left out or have any length). False when text
 * is something else. */
bool sl_time_parse(const char *text, int64_t *us);

typedef struct sl_stop {
    _Atomic int requested; /* 0, or why: a signal number, or SL_STOP_* */
    int fd;                /* readable once requested; for poll() */
} sl_stop;

#define SL_STOP_DONE 1000 /* the work's own end was reached */
#define SL_STOP_PEER 1001 /* another thread of the same stage failed */

bool sl_stop_init(sl_stop *stop); /* false when no descriptor could be had */
void sl_stop_free(sl_stop *stop);
void sl_stop_request(sl_stop *stop, int why); /* async-signal-safe; the first reason stays */
static inline bool sl_stopping(const sl_stop *stop)
{
    return stop && stop->requested != 0;
}

/* Waits that long, or less if stop is requested (stop may be NULL). Returns false if stopped. */
bool sl_sleep_ms(int64_t ms, const sl_stop *stop);

/* Waits until fd is ready for events (poll's POLLIN, POLLOUT), stop is requested, or timeout_ms has
 * passed (-1: no limit). Returns revents, 0 on timeout, -1 when stopped. */
int sl_wait_fd(int fd, short events, int timeout_ms, const sl_stop *stop);

/* How long threads wait for each other is no business of a test's clock: these two go by the
 * kernel's. The moment that is ms from now; and waiting for a condition, under its lock, until then
 * (false once it has passed; true may also be for no reason). */
struct timespec sl_deadline(int ms);
bool sl_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, struct timespec deadline);

#endif
