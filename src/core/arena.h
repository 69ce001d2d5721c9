/* arena.h: memory that is freed all at once (per message, batch, request, check).
 *
 * Not thread-safe: an arena belongs to one thread at a time. Blocks are kept by sl_arena_reset and
 * given back by sl_arena_free. Alignment is 16 bytes, except for sl_arena_bytes (1 byte).
 */
#ifndef SL_CORE_ARENA_H
#define SL_CORE_ARENA_H

#include <stddef.h>
#include <stdint.h>
#include <stdarg.h>

typedef struct sl_arena_block sl_arena_block;

typedef struct sl_arena {
    sl_arena_block *first, *current;
    size_t block_size; /* 0 means the default, 8 KiB */
    size_t used;       /* bytes handed out since the last reset, for limits */
} sl_arena;

#define SL_ARENA_INIT                                                                              \
    {                                                                                              \
        0                                                                                          \
    }

/* A scratch arena that is freed on every way out of the scope. */
#define SL_SCRATCH(name) __attribute__((cleanup(sl_arena_free))) sl_arena name = SL_ARENA_INIT

void sl_arena_init(sl_arena *arena, size_t block_size);
void *sl_arena_alloc(sl_arena *arena, size_t size);                   /* contents undefined */
void *sl_arena_zalloc(sl_arena *arena, size_t size);                  /* zeroed */
void *sl_arena_bytes(sl_arena *arena, const void *data, size_t size); /* unaligned copy */
char *sl_arena_strdup(sl_arena *arena, const char *s);                /* NULL gives NULL */
char *sl_arena_strndup(sl_arena *arena, const char *s, size_t n);
char *sl_arena_printf(sl_arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *sl_arena_vprintf(sl_arena *arena, const char *fmt, va_list ap);
/* Room for one more in an array of n items of `size` bytes each, of which *capacity have room: as
 * it is, or a copy of twice the length, with what is new zeroed. items may be NULL if n is 0. */
void *sl_arena_grow(sl_arena *arena, void *items, size_t n, size_t *capacity, size_t size);
void sl_arena_reset(sl_arena *arena); /* forgets everything, keeps the blocks for reuse */
void sl_arena_free(sl_arena *arena);  /* gives everything back; the arena can be used again */

#define SL_NEW(arena, type) ((type *)sl_arena_zalloc((arena), sizeof(type)))
#define SL_NEW_ARRAY(arena, type, n) ((type *)sl_arena_zalloc((arena), sizeof(type) * (size_t)(n)))

#endif
