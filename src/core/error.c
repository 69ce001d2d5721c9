/* error.c: filling errors, and the allocators that cannot fail. */
#include "core/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sl_rc sl_fail(sl_error *err, sl_rc code, const char *fmt, ...)
{
    if (!err || err->code != SL_OK)
        return err ? err->code : code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->message, sizeof(err->message), fmt, ap);
    va_end(ap);
    err->code = code;
    return code;
}

sl_rc sl_fail_errno(sl_error *err, sl_rc code, const char *fmt, ...)
{
    int saved = errno;
    char what[sizeof(err->message) / 2];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    return sl_fail(err, code, "%s: %s", what, strerror(saved));
}

sl_rc sl_hint(sl_error *err, const char *fmt, ...)
{
    if (!err)
        return SL_FAILED;
    if (err->hint[0] == '\0') {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
        va_end(ap);
    }
    return err->code;
}

sl_rc sl_while(sl_error *err, const char *fmt, ...)
{
    if (!err)
        return SL_FAILED;
    size_t used = strlen(err->where);
    if (used > 0 && used < sizeof(err->where))
        used += (size_t)snprintf(err->where + used, sizeof(err->where) - used, "; while ");
    if (used < sizeof(err->where)) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(err->where + used, sizeof(err->where) - used, fmt, ap);
        va_end(ap);
    }
    return err->code;
}

void sl_error_clear(sl_error *err)
{
    err->code = SL_OK;
    err->sqlstate[0] = err->message[0] = err->hint[0] = err->where[0] = '\0';
}

char *sl_error_text(const sl_error *err, char *buf, size_t size)
{
    snprintf(buf, size, "%s%s%s%s%s%s%s%s", err->message, err->sqlstate[0] ? " (SQLSTATE " : "",
             err->sqlstate, err->sqlstate[0] ? ")" : "", err->where[0] ? ", while " : "",
             err->where, err->hint[0] ? "\nHINT: " : "", err->hint);
    return buf;
}

const char *sl_rc_name(sl_rc code)
{
    static const char *const names[] = { "ok",    "failed",   "transient", "not found",
                                         "usage", "precheck", "cancelled", "fenced" };
    return (size_t)code < sizeof(names) / sizeof(names[0]) ? names[code] : "unknown";
}

static void *checked(void *p)
{
    if (!p) {
        static const char text[] = "pgsluice: out of memory\n";
        fwrite(text, 1, sizeof(text) - 1, stderr);
        abort();
    }
    return p;
}

void *sl_xmalloc(size_t size)
{
    return checked(malloc(size ? size : 1));
}

void *sl_xcalloc(size_t n, size_t size)
{
    return checked(calloc(n ? n : 1, size ? size : 1));
}

void *sl_xrealloc(void *p, size_t size)
{
    return checked(realloc(p, size ? size : 1));
}

char *sl_xstrdup(const char *s)
{
    return checked(strdup(s));
}
