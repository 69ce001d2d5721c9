/* relay_trim.c: leaves out blanks at the end of char(n) values, which their input function puts
 * back: it has to count the characters of what it gets, which for a column of mostly blanks is the
 * largest cost of a row. */
#include "pg/relay_trim.h"
#include <string.h>
#include "core/buf.h"

static inline bool is_row(const sl_relay_trim *trim, const char *row, size_t len)
{
    if (len < 2 || sl_get16(row) != trim->n_fields)
        return false;
    size_t at = 2;
    for (uint16_t i = 0; i < trim->n_fields; i++) {
        if (len - at < 4)
            return false;
        int32_t size = (int32_t)sl_get32(row + at);
        at += 4;
        if (size < -1 || (size > 0 && (size_t)size > len - at))
            return false;
        at += size > 0 ? (size_t)size : 0;
    }
    return at == len;
}

static size_t without_blanks(const char *value, size_t len)
{
    static const char blanks[8] = { ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ' };
    while (len >= 8 && memcmp(value + len - 8, blanks, 8) == 0)
        len -= 8;
    while (len > 0 && value[len - 1] == ' ')
        len--;
    return len;
}

size_t sl_trim_row(const sl_relay_trim *trim, char *dst, const char *src, size_t len)
{
    if (!is_row(trim, src, len)) {
        memmove(dst, src, len);
        return len;
    }
    size_t in = 2, out = 0, run = 0; /* src[run..in) goes out unchanged */
    for (uint16_t i = 0; i < trim->n_fields; i++) {
        int32_t size = (int32_t)sl_get32(src + in);
        size_t end = in + 4 + (size > 0 ? (size_t)size : 0);
        size_t kept = trim->blank[i] && size > 0 ? without_blanks(src + in + 4, (size_t)size) : 0;
        if (trim->blank[i] && size > 0 && kept < (size_t)size) {
            memmove(dst + out, src + run, in - run);
            out += in - run;
            memmove(dst + out + 4, src + in + 4, kept);
            sl_put32(dst + out, (uint32_t)kept);
            out += 4 + kept;
            run = end;
        }
        in = end;
    }
    memmove(dst + out, src + run, len - run);
    return out + len - run;
}
