/* error.h: how a function says what went wrong.
 *
 * A function that can fail returns sl_rc and takes an sl_error that the caller owns. The first
 * failure fills it; outer frames only add where they were (sl_while). A library function never logs
 * an error that it returns: the task's boundary logs it, once. Out of memory ends the process
 * (sl_xmalloc), so that no caller has to handle it.
 */
#ifndef SL_CORE_ERROR_H
#define SL_CORE_ERROR_H

#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>

typedef enum sl_rc {
    SL_OK = 0,
    SL_FAILED,    /* will fail again until somebody changes something */
    SL_TRANSIENT, /* worth another try within the retry time: lost connection, server restart … */
    SL_NOT_FOUND, /* the thing asked for does not exist; not always an error, err may be empty */
    SL_USAGE,     /* wrong command line or wrong specification: exit code 2 */
    SL_PRECHECK,  /* the precheck failed: exit code 3 */
    SL_CANCELLED, /* a clean stop was asked for */
    SL_FENCED,    /* another worker has taken the task over: never write again */
} sl_rc;

typedef struct sl_error {
    sl_rc code;         /* SL_OK while empty */
    char sqlstate[6];   /* of the server's error, or "" */
    char message[1200]; /* what failed: names the object and the cause */
    char hint[1200];    /* what to do about it, or "" */
    char where[600];    /* innermost first, joined by "; while " */
} sl_error;

#define SL_ERROR_INIT                                                                              \
    {                                                                                              \
        .code = SL_OK                                                                              \
    }

/* Fills err if it is empty and returns code. Never with SL_OK. err may be NULL. */
sl_rc sl_fail(sl_error *err, sl_rc code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Sets the hint if it has none, and returns err->code: return sl_hint(err, "…"). */
sl_rc sl_hint(sl_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Adds "while <text>" and returns err->code: return sl_while(err, "reading slot %s", slot). */
sl_rc sl_while(sl_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "strerror(errno)" appended: sl_fail_errno(err, SL_FAILED, "opening %s", path). */
sl_rc sl_fail_errno(sl_error *err, sl_rc code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

void sl_error_clear(sl_error *err);

/* "message (SQLSTATE) while …\nHINT: …" into buf, always terminated; returns buf. */
char *sl_error_text(const sl_error *err, char *buf, size_t size);

/* The name of a code, for logs and events: "failed", "transient" … */
const char *sl_rc_name(sl_rc code);

/* malloc, calloc, realloc, strdup that end the process with a message when memory is out. */
void *sl_xmalloc(size_t size);
void *sl_xcalloc(size_t n, size_t size);
void *sl_xrealloc(void *p, size_t size);
char *sl_xstrdup(const char *s);

#endif
