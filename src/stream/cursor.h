/* cursor.h: reads the fields of a message in network byte order, for decoders.
 *
 * Reading past the end yields zeros and empty strings and is remembered in `bad`: a decoder looks
 * at it once, before it hands anything on. */
#ifndef SL_STREAM_CURSOR_H
#define SL_STREAM_CURSOR_H

#include <string.h>

#include "core/buf.h"

typedef struct sl_cursor {
    const uint8_t *start, *p, *end;
    bool bad; /* something was read past the end, or could not be as it was */
} sl_cursor;

static inline size_t sl_cursor_left(const sl_cursor *c)
{
    return (size_t)(c->end - c->p);
}

static inline bool sl_cursor_need(sl_cursor *c, size_t n)
{
    if (sl_cursor_left(c) >= n)
        return true;
    c->bad = true;
    c->p = c->end;
    return false;
}

static inline uint8_t sl_cursor_8(sl_cursor *c)
{
    return sl_cursor_need(c, 1) ? *c->p++ : 0;
}

static inline uint16_t sl_cursor_16(sl_cursor *c)
{
    if (!sl_cursor_need(c, 2))
        return 0;
    c->p += 2;
    return sl_get16(c->p - 2);
}

static inline uint32_t sl_cursor_32(sl_cursor *c)
{
    if (!sl_cursor_need(c, 4))
        return 0;
    c->p += 4;
    return sl_get32(c->p - 4);
}

static inline uint64_t sl_cursor_64(sl_cursor *c)
{
    if (!sl_cursor_need(c, 8))
        return 0;
    c->p += 8;
    return sl_get64(c->p - 8);
}

/* Seven bits per byte, the lowest first, the top bit set in all but the last; at most 64 bits. */
static inline uint64_t sl_cursor_varint(sl_cursor *c)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t byte = sl_cursor_8(c);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    c->bad = true;
    return 0;
}

/* n bytes; NULL when they are not there. */
static inline const uint8_t *sl_cursor_bytes(sl_cursor *c, size_t n)
{
    if (!sl_cursor_need(c, n))
        return NULL;
    c->p += n;
    return c->p - n;
}

static inline void sl_cursor_skip(sl_cursor *c, size_t n)
{
    (void)sl_cursor_bytes(c, n);
}

/* Ended by a zero byte; "" when that is missing. */
static inline const char *sl_cursor_string(sl_cursor *c)
{
    const uint8_t *s = c->p, *nul = memchr(s, 0, sl_cursor_left(c));
    if (!nul) {
        c->bad = true;
        c->p = c->end;
        return "";
    }
    c->p = nul + 1;
    return (const char *)s;
}

/* Everything was read, and rightly. */
static inline bool sl_cursor_complete(const sl_cursor *c)
{
    return !c->bad && c->p == c->end;
}

#endif
