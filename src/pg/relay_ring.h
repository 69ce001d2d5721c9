/* relay_ring.h: the bytes between the relay's two sockets.
 *
 * The same memory is mapped twice, one after the other, so that every run of bytes is contiguous:
 * no message is ever split at an edge, and reads and writes are as large as the ring allows. */
#ifndef SL_PG_RELAY_RING_H
#define SL_PG_RELAY_RING_H

#include <stddef.h>
#include <stdint.h>
#include "core/error.h"

typedef struct sl_ring {
    char *base;       /* 2 * size bytes */
    size_t size;      /* a power of two */
    uint64_t in, out; /* bytes put and taken since the start */
    size_t held;      /* bytes behind `in` that are there but not yet put */
} sl_ring;

sl_rc sl_ring_init(sl_ring *ring, size_t size, sl_error *err);
void sl_ring_free(sl_ring *ring);

static inline size_t sl_ring_used(const sl_ring *r)
{
    return (size_t)(r->in - r->out);
}
static inline size_t sl_ring_space(const sl_ring *r)
{
    return r->size - sl_ring_used(r) - r->held;
}
/* Where the held bytes begin; new ones go behind them. */
static inline char *sl_ring_head(const sl_ring *r)
{
    return r->base + (r->in & (r->size - 1));
}
static inline const char *sl_ring_tail(const sl_ring *r)
{
    return r->base + (r->out & (r->size - 1));
}

#endif
