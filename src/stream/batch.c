/* batch.c: the memory of batches. The hand-over is in exchange.c.
 *
 * A record is the sl_change, the offsets of its values, and the message's bytes, in one piece, so
 * that applying in order walks memory in order. */
#include "stream/batch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK_BYTES (1024 * 1024)
#define KEEP_BLOCKS 32 /* of the pool: what four full batches need */

typedef struct sl_block {
    struct sl_block *next;
    size_t size; /* with this header */
    max_align_t data[];
} sl_block;

struct sl_pool {
    pthread_mutex_t lock;
    sl_block *free;
    int n_free;
};

sl_pool *sl_pool_new(void)
{
    sl_pool *pool = sl_xcalloc(1, sizeof(*pool));
    pthread_mutex_init(&pool->lock, NULL);
    return pool;
}

/* Blocks are mapped, not malloced, so that a large one goes back to the system at once. */
static sl_block *map_block(size_t size)
{
    sl_block *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        return sl_xmalloc(SIZE_MAX / 2); /* ends the process the way all memory failures do */
    block->size = size;
    return block;
}

void sl_pool_free(sl_pool *pool)
{
    if (!pool)
        return;
    for (sl_block *block = pool->free, *next; block; block = next) {
        next = block->next;
        munmap(block, block->size);
    }
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static sl_block *get_block(sl_pool *pool, size_t data_size)
{
    size_t size = sizeof(sl_block) + data_size;
    if (size > BLOCK_BYTES)
        return map_block((size + 4095) & ~(size_t)4095);
    pthread_mutex_lock(&pool->lock);
    sl_block *block = pool->free;
    if (block) {
        pool->free = block->next;
        pool->n_free--;
    }
    pthread_mutex_unlock(&pool->lock);
    return block ? block : map_block(BLOCK_BYTES);
}

static void put_block(sl_pool *pool, sl_block *block)
{
    pthread_mutex_lock(&pool->lock);
    bool keep = block->size == BLOCK_BYTES && pool->n_free < KEEP_BLOCKS;
    if (keep) {
        block->next = pool->free;
        pool->free = block;
        pool->n_free++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!keep)
        munmap(block, block->size);
}

sl_batch *sl_batch_new(sl_pool *pool)
{
    sl_batch *batch = sl_xcalloc(1, sizeof(*batch));
    batch->pool = pool;
    return batch;
}

void sl_batch_free(sl_batch *batch)
{
    if (!batch)
        return;
    for (sl_block *block = batch->blocks, *next; block; block = next) {
        next = block->next;
        put_block(batch->pool, block);
    }
    free(batch->txns);
    free(batch->changes);
    free(batch);
}

static void *batch_alloc(sl_batch *batch, size_t size)
{
    size = (size + 7) & ~(size_t)7;
    if (size > batch->left) {
        sl_block *block = get_block(batch->pool, size);
        block->next = batch->blocks;
        batch->blocks = block;
        batch->next = (uint8_t *)block->data;
        batch->left = block->size - sizeof(sl_block);
    }
    void *p = batch->next;
    batch->next += size;
    batch->left -= size;
    batch->bytes += size;
    return p;
}

void sl_batch_begin(sl_batch *batch, const sl_txn *txn, bool continued)
{
    if (batch->n_txns == batch->cap_txns) {
        batch->cap_txns = batch->cap_txns ? batch->cap_txns * 2 : 16;
        batch->txns = sl_xrealloc(batch->txns, batch->cap_txns * sizeof(*batch->txns));
    }
    sl_batch_txn *t = &batch->txns[batch->n_txns++];
    *t = (sl_batch_txn){ .txn = *txn, .first = batch->n_changes, .continued = continued };
    t->txn.end_lsn = 0;
    batch->bytes += sizeof(*t);
}

void sl_batch_add(sl_batch *batch, const sl_change *change)
{
    if (batch->n_changes == batch->cap_changes) {
        batch->cap_changes = batch->cap_changes ? batch->cap_changes * 2 : 64;
        batch->changes = sl_xrealloc(batch->changes, batch->cap_changes * sizeof(sl_change *));
    }
    size_t off_size = change->rel->n_columns * sizeof(uint32_t);
    size_t old_size = change->old_off ? off_size : 0, new_size = change->new_off ? off_size : 0;
    size_t rels_size = change->n_rels * sizeof(sl_relation *);
    size_t size = sizeof(*change) + rels_size + old_size + new_size + change->len;
    uint8_t *p = batch_alloc(batch, size);
    sl_change *own = (sl_change *)(void *)p;
    p += sizeof(*own);
    *own = *change;
    own->txn = batch->n_txns - 1;
    if (change->n_rels)
        own->rels = memcpy(p, change->rels, rels_size);
    if (old_size)
        own->old_off = memcpy(p + rels_size, change->old_off, old_size);
    if (new_size)
        own->new_off = memcpy(p + rels_size + old_size, change->new_off, new_size);
    own->data = memcpy(p + rels_size + old_size + new_size, change->data, change->len);
    batch->changes[batch->n_changes++] = own;
    batch->txns[batch->n_txns - 1].n++;
}

void sl_batch_commit(sl_batch *batch, const sl_txn *txn)
{
    sl_batch_txn *t = &batch->txns[batch->n_txns - 1];
    t->txn.end_lsn = txn->end_lsn;
    t->txn.commit_us = txn->commit_us;
}

bool sl_batch_drop_empty(sl_batch *batch)
{
    sl_batch_txn *t = &batch->txns[batch->n_txns - 1];
    if (t->n > 0 || t->continued)
        return false;
    batch->n_txns--;
    return true;
}

sl_change *sl_batch_fill(sl_batch *batch, uint32_t index, const uint8_t *const *values)
{
    const sl_change *from = batch->changes[index];
    uint16_t n = from->rel->n_columns;
    size_t off_size = n * sizeof(uint32_t), more = 0;
    for (uint16_t i = 0; i < n; i++)
        if (!sl_value_sent(from->data + from->new_off[i]))
            more += 5 + sl_value_len(values[i]);
    uint8_t *p = batch_alloc(batch, sizeof(*from) + off_size + from->len + more);
    sl_change *own = (sl_change *)(void *)p;
    uint32_t *off = (uint32_t *)(void *)(p + sizeof(*own));
    uint8_t *data = p + sizeof(*own) + off_size;
    *own = *from;
    memcpy(off, from->new_off, off_size);
    memcpy(data, from->data, from->len);
    for (uint16_t i = 0; i < n; i++) {
        if (sl_value_sent(from->data + from->new_off[i]))
            continue;
        bool has_data = sl_value_sent(values[i]) && !sl_value_null(values[i]);
        size_t size = has_data ? 5 + sl_value_len(values[i]) : 1;
        off[i] = own->len;
        memcpy(data + own->len, values[i], size);
        own->len += (uint32_t)size;
    }
    own->new_off = off;
    own->data = data;
    own->unchanged = false;
    return batch->changes[index] = own;
}

void sl_batch_remove(sl_batch *batch, const bool *drop)
{
    uint32_t kept = 0;
    for (uint32_t t = 0; t < batch->n_txns; t++) {
        sl_batch_txn *txn = &batch->txns[t];
        uint32_t from = txn->first, to = from + txn->n;
        txn->first = kept;
        for (uint32_t i = from; i < to; i++)
            if (!drop[i])
                batch->changes[kept++] = batch->changes[i];
        txn->n = kept - txn->first;
    }
    batch->n_changes = kept;
}
