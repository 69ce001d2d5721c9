/* buf.h: a growing byte buffer (text or network-order binary), and a string-keyed map.
 *
 * A buffer is always followed by a NUL byte that len does not count, so data is a C string when the
 * contents are text. */
#ifndef SL_CORE_BUF_H
#define SL_CORE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sl_buf {
    char *data; /* owned; NULL until the first byte */
    size_t len, cap;
} sl_buf;

#define SL_BUF(name) __attribute__((cleanup(sl_buf_free))) sl_buf name = { 0 }

void sl_buf_free(sl_buf *b);
void sl_buf_clear(sl_buf *b); /* len = 0, memory kept */
void sl_buf_reserve(sl_buf *b, size_t more);
void sl_buf_add(sl_buf *b, const void *data, size_t n);
void sl_buf_puts(sl_buf *b, const char *s);
void sl_buf_putc(sl_buf *b, char c);
void sl_buf_printf(sl_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sl_buf_vprintf(sl_buf *b, const char *fmt, va_list ap);
const char *sl_buf_str(const sl_buf *b); /* "" when empty, never NULL */

/* Network byte order (PostgreSQL's binary formats and protocol). */
static inline void sl_put16(void *p, uint16_t v)
{
    uint8_t *b = p;
    b[0] = (uint8_t)(v >> 8);
    b[1] = (uint8_t)v;
}
static inline void sl_put32(void *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    __builtin_memcpy(p, &v, 4);
}
static inline void sl_put64(void *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    __builtin_memcpy(p, &v, 8);
}
static inline uint16_t sl_get16(const void *p)
{
    const uint8_t *b = p;
    return (uint16_t)((b[0] << 8) | b[1]);
}
static inline uint32_t sl_get32(const void *p)
{
    uint32_t v;
    __builtin_memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}
static inline uint64_t sl_get64(const void *p)
{
    uint64_t v;
    __builtin_memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}
void sl_buf_put16(sl_buf *b, uint16_t v);
void sl_buf_put32(sl_buf *b, uint32_t v);
void sl_buf_put64(sl_buf *b, uint64_t v);

/* A 64-bit hash of bytes: fast, not cryptographic, the same in every process. */
uint64_t sl_hash64(const void *data, size_t n, uint64_t seed);

/* String (bytes) → pointer. Keys are copied. Not thread-safe. */
typedef struct sl_map sl_map;
sl_map *sl_map_new(void);
void sl_map_free(sl_map *m); /* NULL is fine; values are the caller's */
void *sl_map_get(const sl_map *m, const void *key, size_t n);
void sl_map_put(sl_map *m, const void *key, size_t n, void *value); /* replaces */
size_t sl_map_size(const sl_map *m);

#endif
