/* log.h: one line per thing worth knowing, as text or JSON, to stderr or a file descriptor.
 *
 * Thread-safe. The log is the only global state of the program. Passwords never reach it: nothing
 * that holds one is ever formatted. */
#ifndef SL_CORE_LOG_H
#define SL_CORE_LOG_H

#include <stdbool.h>
#include "core/error.h"

typedef enum sl_log_level { SL_DEBUG, SL_INFO, SL_WARN, SL_ERR } sl_log_level;

typedef struct sl_log_options {
    sl_log_level level; /* lines below it are dropped */
    bool json;
    int fd; /* default 2 */
    /* Called with a finished line instead of writing it, so that a live display can print it above
     * itself; NULL for none. Called under the log's lock. */
    void (*sink)(void *self, const char *line, size_t n);
    void *sink_self;
} sl_log_options;

void sl_log_setup(const sl_log_options *options);
void sl_log(sl_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The whole error with hint and where; the one place where errors are logged. */
void sl_log_error(const sl_error *err, const char *what);

#define sl_debug(...) sl_log(SL_DEBUG, __VA_ARGS__)
#define sl_info(...) sl_log(SL_INFO, __VA_ARGS__)
#define sl_warn(...) sl_log(SL_WARN, __VA_ARGS__)

#endif
