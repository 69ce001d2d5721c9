/* buf.c: the growing buffer, the hash and the string-keyed map (open addressing, linear probing).
 */
#include "core/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

void sl_buf_free(sl_buf *b)
{
    free(b->data);
    *b = (sl_buf){ 0 };
}

void sl_buf_clear(sl_buf *b)
{
    b->len = 0;
    if (b->data)
        b->data[0] = '\0';
}

void sl_buf_reserve(sl_buf *b, size_t more)
{
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap *= 2;
    b->data = sl_xrealloc(b->data, cap);
    b->cap = cap;
    b->data[b->len] = '\0';
}

void sl_buf_add(sl_buf *b, const void *data, size_t n)
{
    sl_buf_reserve(b, n);
    if (n)
        memcpy(b->data + b->len, data, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void sl_buf_puts(sl_buf *b, const char *s)
{
    sl_buf_add(b, s, strlen(s));
}

void sl_buf_putc(sl_buf *b, char c)
{
    sl_buf_add(b, &c, 1);
}

void sl_buf_vprintf(sl_buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    sl_buf_reserve(b, (size_t)n);
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
    va_end(again);
    b->len += (size_t)n;
}

void sl_buf_printf(sl_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    sl_buf_vprintf(b, fmt, ap);
    va_end(ap);
}

const char *sl_buf_str(const sl_buf *b)
{
    return b->data ? b->data : "";
}

void sl_buf_put16(sl_buf *b, uint16_t v)
{
    sl_buf_reserve(b, 2);
    sl_put16(b->data + b->len, v);
    b->len += 2;
}

void sl_buf_put32(sl_buf *b, uint32_t v)
{
    sl_buf_reserve(b, 4);
    sl_put32(b->data + b->len, v);
    b->len += 4;
}

void sl_buf_put64(sl_buf *b, uint64_t v)
{
    sl_buf_reserve(b, 8);
    sl_put64(b->data + b->len, v);
    b->len += 8;
}

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t m = (__uint128_t)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Multiply-fold over 16 bytes at a time (the construction of wyhash). */
uint64_t sl_hash64(const void *data, size_t n, uint64_t seed)
{
    const uint64_t k0 = UINT64_C(0xa0761d6478bd642f), k1 = UINT64_C(0xe7037ed1a0b428db);
    const uint8_t *p = data;
    uint64_t h = seed ^ k0 ^ n;
    for (; n >= 16; n -= 16, p += 16) {
        uint64_t a, b;
        memcpy(&a, p, 8);
        memcpy(&b, p + 8, 8);
        h = mix(a ^ k1, b ^ h);
    }
    uint64_t a = 0, b = 0;
    if (n >= 8) {
        memcpy(&a, p, 8);
        memcpy(&b, p + 8, n - 8);
    } else if (n > 0) {
        memcpy(&a, p, n);
    }
    return mix(k1 ^ h, mix(a ^ k1, b ^ h));
}

typedef struct entry {
    char *key; /* NULL: free */
    size_t len;
    uint64_t hash;
    void *value;
} entry;

struct sl_map {
    entry *entries;
    size_t cap, size; /* cap is a power of two */
};

sl_map *sl_map_new(void)
{
    sl_map *m = sl_xcalloc(1, sizeof(*m));
    m->cap = 16;
    m->entries = sl_xcalloc(m->cap, sizeof(entry));
    return m;
}

void sl_map_free(sl_map *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->cap; i++)
        free(m->entries[i].key);
    free(m->entries);
    free(m);
}

/* The entry of a key, or the free one where it would go. */
static entry *probe(entry *entries, size_t cap, const void *key, size_t n, uint64_t hash)
{
    for (size_t i = hash & (cap - 1);; i = (i + 1) & (cap - 1)) {
        entry *e = &entries[i];
        if (!e->key || (e->hash == hash && e->len == n && memcmp(e->key, key, n) == 0))
            return e;
    }
}

void *sl_map_get(const sl_map *m, const void *key, size_t n)
{
    entry *e = probe(m->entries, m->cap, key, n, sl_hash64(key, n, 0));
    return e->key ? e->value : NULL;
}

static void grow(sl_map *m)
{
    size_t cap = m->cap * 2;
    entry *entries = sl_xcalloc(cap, sizeof(entry));
    for (size_t i = 0; i < m->cap; i++) {
        entry *e = &m->entries[i];
        if (e->key)
            *probe(entries, cap, e->key, e->len, e->hash) = *e;
    }
    free(m->entries);
    m->entries = entries;
    m->cap = cap;
}

void sl_map_put(sl_map *m, const void *key, size_t n, void *value)
{
    if ((m->size + 1) * 4 > m->cap * 3)
        grow(m);
    uint64_t hash = sl_hash64(key, n, 0);
    entry *e = probe(m->entries, m->cap, key, n, hash);
    if (!e->key) {
        e->key = sl_xmalloc(n + 1);
        memcpy(e->key, key, n);
        e->key[n] = '\0';
        e->len = n;
        e->hash = hash;
        m->size++;
    }
    e->value = value;
}

size_t sl_map_size(const sl_map *m)
{
    return m->size;
}
