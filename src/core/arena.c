/* arena.c: a chain of blocks; allocation moves a cursor in the current one. Blocks after `current`
 * are empty ones kept by a reset. A request larger than a block gets a block of its own size. */
#include "core/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

#define DEFAULT_BLOCK 8192u
#define ALIGNMENT 16u

struct sl_arena_block {
    sl_arena_block *next;
    size_t size, used;
    _Alignas(16) char data[];
};

void sl_arena_init(sl_arena *arena, size_t block_size)
{
    *arena = (sl_arena){ .block_size = block_size };
}

static sl_arena_block *next_block(sl_arena *arena, size_t size)
{
    sl_arena_block *current = arena->current;
    sl_arena_block **link = current ? &current->next : &arena->first;
    /* A kept block that is too small stays behind the new one. */
    if (*link && (*link)->size >= size)
        return *link;
    size_t want = arena->block_size ? arena->block_size : DEFAULT_BLOCK;
    if (want < size)
        want = size;
    sl_arena_block *block = sl_xmalloc(sizeof(*block) + want);
    block->size = want;
    block->used = 0;
    block->next = *link;
    *link = block;
    return block;
}

static void *take(sl_arena *arena, size_t size, size_t alignment)
{
    sl_arena_block *block = arena->current;
    size_t at = block ? (block->used + alignment - 1) & ~(alignment - 1) : 0;
    if (!block || at > block->size || size > block->size - at) {
        block = next_block(arena, size);
        arena->current = block;
        block->used = at = 0;
    }
    block->used = at + size;
    arena->used += size;
    return block->data + at;
}

void *sl_arena_alloc(sl_arena *arena, size_t size)
{
    return take(arena, size, ALIGNMENT);
}

void *sl_arena_zalloc(sl_arena *arena, size_t size)
{
    return memset(take(arena, size, ALIGNMENT), 0, size);
}

void *sl_arena_bytes(sl_arena *arena, const void *data, size_t size)
{
    void *p = take(arena, size, 1);
    if (size)
        memcpy(p, data, size);
    return p;
}

char *sl_arena_strndup(sl_arena *arena, const char *s, size_t n)
{
    char *p = take(arena, n + 1, 1);
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *sl_arena_strdup(sl_arena *arena, const char *s)
{
    return s ? sl_arena_strndup(arena, s, strlen(s)) : NULL;
}

char *sl_arena_vprintf(sl_arena *arena, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *p = take(arena, (size_t)n + 1, 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

char *sl_arena_printf(sl_arena *arena, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *p = sl_arena_vprintf(arena, fmt, ap);
    va_end(ap);
    return p;
}

void *sl_arena_grow(sl_arena *arena, void *items, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity)
        return items;
    *capacity = *capacity ? 2 * *capacity : 16;
    void *grown = sl_arena_zalloc(arena, *capacity * size);
    if (n)
        memcpy(grown, items, n * size);
    return grown;
}

void sl_arena_reset(sl_arena *arena)
{
    arena->current = arena->first;
    if (arena->first)
        arena->first->used = 0;
    arena->used = 0;
}

void sl_arena_free(sl_arena *arena)
{
    for (sl_arena_block *block = arena->first; block;) {
        sl_arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena->first = arena->current = NULL;
    arena->used = 0;
}
