/* array.c: PostgreSQL's array literals, for parameters of type text[], oid[] … */
#include "pg/pg.h"

void sl_array_start(sl_buf *array)
{
    sl_buf_clear(array);
    sl_buf_putc(array, '{');
}

void sl_array_add(sl_buf *array, const char *value)
{
    if (array->len > 1)
        sl_buf_putc(array, ',');
    if (!value) {
        sl_buf_puts(array, "NULL");
        return;
    }
    sl_buf_putc(array, '"');
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            sl_buf_putc(array, '\\');
        sl_buf_putc(array, *value);
    }
    sl_buf_putc(array, '"');
}

void sl_array_add_oid(sl_buf *array, uint32_t oid)
{
    sl_buf_printf(array, "%s%u", array->len > 1 ? "," : "", oid);
}

void sl_array_end(sl_buf *array)
{
    sl_buf_putc(array, '}');
}
