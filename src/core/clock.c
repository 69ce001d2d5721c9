/* clock.c: clocks, waits, and the request to stop. */
#include "core/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define WAIT_SLICE_MS 50 /* under a test clock, which may jump while a thread waits */

static const volatile int64_t *test_offset;
static pthread_once_t test_once = PTHREAD_ONCE_INIT;

static void map_test_clock(void)
{
    const char *path = getenv("PGSLUICE_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *p = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (p != MAP_FAILED)
        test_offset = p;
}

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    pthread_once(&test_once, map_test_clock);
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000 + (test_offset ? *test_offset : 0);
}

/* How long one poll may last of what is left to wait. */
static int slice_of(int64_t left_ms)
{
    int64_t most = test_offset ? WAIT_SLICE_MS : INT_MAX;
    return (int)(left_ms < most ? left_ms : most);
}

int64_t sl_now_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t sl_mono_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

char *sl_time_text(int64_t us, char *buf)
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(buf, 24, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf + n, 32 - n, ".%03uZ", (unsigned)(us / 1000 % 1000) % 1000u);
    return buf;
}

bool sl_time_parse(const char *text, int64_t *us)
{
    struct tm tm = { 0 };
    int64_t fraction = 0, unit = 100000;
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    if (rest && *rest == '.')
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
            fraction += (*rest - '0') * unit;
    if (!rest || (strcmp(rest, "Z") != 0 && strcmp(rest, "+00:00") != 0))
        return false;
    *us = (int64_t)timegm(&tm) * 1000000 + fraction;
    return true;
}

bool sl_stop_init(sl_stop *stop)
{
    stop->requested = 0;
    stop->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return stop->fd >= 0;
}

void sl_stop_free(sl_stop *stop)
{
    if (stop->fd >= 0)
        close(stop->fd);
    stop->fd = -1;
}

void sl_stop_request(sl_stop *stop, int why)
{
    int none = 0;
    uint64_t one = 1;
    int saved = errno;
    if (__atomic_compare_exchange_n((int *)&stop->requested, &none, why, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST) &&
        write(stop->fd, &one, sizeof(one)) < 0) {
        /* The counter is full: it is readable already. */
    }
    errno = saved;
}

bool sl_sleep_ms(int64_t ms, const sl_stop *stop)
{
    int64_t deadline = sl_mono_us() + ms * 1000;
    while (!sl_stopping(stop)) {
        int64_t left = (deadline - sl_mono_us() + 999) / 1000;
        if (left <= 0)
            return true;
        struct pollfd p = { .fd = stop ? stop->fd : -1, .events = POLLIN };
        poll(&p, 1, slice_of(left));
    }
    return false;
}

int sl_wait_fd(int fd, short events, int timeout_ms, const sl_stop *stop)
{
    int64_t deadline = timeout_ms < 0 ? 0 : sl_mono_us() + (int64_t)timeout_ms * 1000;
    for (;;) {
        if (sl_stopping(stop))
            return -1;
        int slice = -1;
        if (timeout_ms >= 0) {
            int64_t left = (deadline - sl_mono_us() + 999) / 1000;
            slice = left <= 0 ? 0 : slice_of(left);
        }
        struct pollfd p[2] = { { .fd = fd, .events = events },
                               { .fd = stop ? stop->fd : -1, .events = POLLIN } };
        int n = poll(p, 2, slice);
        if (n > 0 && p[0].revents)
            return p[0].revents;
        if (n > 0)
            return -1;
        if (n < 0 && errno != EINTR)
            return POLLERR;
        if (timeout_ms >= 0 && sl_mono_us() >= deadline)
            return 0;
    }
}

struct timespec sl_deadline(int ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return t;
}

bool sl_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, struct timespec deadline)
{
    return pthread_cond_clockwait(cond, lock, CLOCK_MONOTONIC, &deadline) != ETIMEDOUT;
}
