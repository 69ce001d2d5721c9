/* quote.c: the one function that builds SQL text. Identifiers are always quoted; literals are
 * written so that they mean the same whatever standard_conforming_strings says. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg/pg.h"

static void add_identifier(sl_buf *buf, const char *name)
{
    sl_buf_putc(buf, '"');
    for (const char *p = name; *p; p++) {
        if (*p == '"')
            sl_buf_putc(buf, '"');
        sl_buf_putc(buf, *p);
    }
    sl_buf_putc(buf, '"');
}

static void add_literal(sl_buf *buf, const char *value)
{
    if (!value) {
        sl_buf_puts(buf, "NULL");
        return;
    }
    if (strchr(value, '\\'))
        sl_buf_puts(buf, " E");
    sl_buf_putc(buf, '\'');
    for (const char *p = value; *p; p++) {
        if (*p == '\'' || *p == '\\')
            sl_buf_putc(buf, *p);
        sl_buf_putc(buf, *p);
    }
    sl_buf_putc(buf, '\'');
}

/* One conversion at fmt (behind the %); returns how many characters it took. */
static size_t add_conversion(sl_buf *buf, const char *fmt, va_list *ap)
{
    switch (fmt[0]) {
    case 's':
        sl_buf_puts(buf, va_arg(*ap, const char *));
        return 1;
    case 'I':
        add_identifier(buf, va_arg(*ap, const char *));
        return 1;
    case 'L':
        add_literal(buf, va_arg(*ap, const char *));
        return 1;
    case 'P': {
        sl_lsn lsn = va_arg(*ap, sl_lsn);
        sl_buf_printf(buf, "'" SL_LSN_FMT "'", SL_LSN_ARGS(lsn));
        return 1;
    }
    case 'c':
        sl_buf_putc(buf, (char)va_arg(*ap, int));
        return 1;
    case 'd':
        sl_buf_printf(buf, "%d", va_arg(*ap, int));
        return 1;
    case 'u':
        sl_buf_printf(buf, "%u", va_arg(*ap, unsigned));
        return 1;
    case 'z':
        sl_buf_printf(buf, "%zu", va_arg(*ap, size_t));
        return 2;
    case 'l':
        if (strncmp(fmt, "lld", 3) == 0)
            sl_buf_printf(buf, "%lld", va_arg(*ap, long long));
        else if (strncmp(fmt, "llu", 3) == 0)
            sl_buf_printf(buf, "%llu", va_arg(*ap, unsigned long long));
        else
            break;
        return 3;
    case '%':
        sl_buf_putc(buf, '%');
        return 1;
    default:
        break;
    }
    fprintf(stderr, "pgsluice: bug: unknown conversion in SQL format: %%%s\n", fmt);
    abort();
}

static void format(sl_buf *buf, const char *fmt, va_list *ap)
{
    while (*fmt) {
        size_t n = strcspn(fmt, "%");
        sl_buf_add(buf, fmt, n);
        fmt += n;
        if (*fmt)
            fmt += 1 + add_conversion(buf, fmt + 1, ap);
    }
}

char *sl_sql(sl_arena *arena, const char *fmt, ...)
{
    SL_BUF(buf);
    va_list ap;
    va_start(ap, fmt);
    format(&buf, fmt, &ap);
    va_end(ap);
    return sl_arena_strndup(arena, sl_buf_str(&buf), buf.len);
}

void sl_sql_add(sl_buf *buf, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    format(buf, fmt, &ap);
    va_end(ap);
}
