/* log.c: formats one line under a lock and writes it with one write(). */
#include "core/log.h"

#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"

static struct {
    pthread_mutex_t lock;
    sl_log_options options;
} the_log = { .lock = PTHREAD_MUTEX_INITIALIZER, .options = { .level = SL_INFO, .fd = 2 } };

static const char *const level_names[] = { "debug", "info", "warning", "error" };

void sl_log_setup(const sl_log_options *options)
{
    pthread_mutex_lock(&the_log.lock);
    the_log.options = *options;
    if (the_log.options.fd == 0)
        the_log.options.fd = 2;
    pthread_mutex_unlock(&the_log.lock);
}

static void write_line(const char *line, size_t n)
{
    if (the_log.options.sink) {
        the_log.options.sink(the_log.options.sink_self, line, n);
        return;
    }
    while (n > 0) {
        ssize_t w = write(the_log.options.fd, line, n);
        if (w <= 0)
            return; /* nowhere left to say so */
        line += w;
        n -= (size_t)w;
    }
}

static void put(sl_log_level level, const char *text)
{
    char when[32];
    SL_BUF(line);
    sl_time_text(sl_now_us(), when);
    if (the_log.options.json) {
        json_t *o = json_pack("{s:s, s:s, s:s%}", "time", when, "level", level_names[level],
                              "message", text, strlen(text));
        char *dump = o ? json_dumps(o, JSON_COMPACT) : NULL;
        if (dump)
            sl_buf_puts(&line, dump);
        free(dump);
        json_decref(o);
    } else {
        sl_buf_printf(&line, "%s %-7s ", when, level_names[level]);
        for (const char *p = text; *p; p++) {
            if (*p == '\n')
                sl_buf_puts(&line, "\n    ");
            else
                sl_buf_putc(&line, *p);
        }
    }
    sl_buf_putc(&line, '\n');
    write_line(line.data, line.len);
}

void sl_log(sl_log_level level, const char *fmt, ...)
{
    SL_BUF(text);
    va_list ap;
    va_start(ap, fmt);
    sl_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&the_log.lock);
    if (level >= the_log.options.level)
        put(level, sl_buf_str(&text));
    pthread_mutex_unlock(&the_log.lock);
}

void sl_log_error(const sl_error *err, const char *what)
{
    char text[sizeof(sl_error) + 64];
    sl_log(SL_ERR, "%s%s%s", what ? what : "", what ? ": " : "",
           sl_error_text(err, text, sizeof(text)));
}
