/* batch.h: changes on their way from the reader to the applier, and the hand-over between the two.
 *
 * A batch holds whole transactions and, at its ends, parts of one transaction that is larger than a
 * batch: the first entry of `txns` may be the rest of the transaction that the batch before began
 * (`continued`), the last may be open (`end_lsn` 0: the next batch goes on with it). Changes are
 * kept as they came, until the batch is durable enough to be forgotten: the applier needs them when
 * a coalesced flush fails.
 *
 * Memory: records lie in blocks of 1 MiB (larger for a larger row) from a pool that both threads
 * share and that keeps what a few batches need. */
#ifndef SL_STREAM_BATCH_H
#define SL_STREAM_BATCH_H

#include "stream/change.h"

#define SL_BATCH_BYTES (6 * 1024 * 1024) /* a batch is full beyond it */
#define SL_BATCH_CHANGES 65536           /* … or with that many changes */

typedef struct sl_pool sl_pool;
sl_pool *sl_pool_new(void);
void sl_pool_free(sl_pool *pool); /* no batch may be left */

typedef struct sl_batch_txn {
    sl_txn txn;        /* end_lsn 0: it goes on in the next batch */
    uint32_t first, n; /* its changes in this batch */
    bool continued;    /* it began in an earlier batch */
} sl_batch_txn;

typedef struct sl_batch {
    sl_pool *pool;
    sl_batch_txn *txns;
    uint32_t n_txns, cap_txns;
    sl_change **changes;
    uint32_t n_changes, cap_changes;
    size_t bytes;
    struct sl_block *blocks; /* newest first */
    size_t left;             /* in the newest */
    uint8_t *next;
} sl_batch;

sl_batch *sl_batch_new(sl_pool *pool);
void sl_batch_free(sl_batch *batch); /* its blocks go back to the pool; NULL is fine */

/* Begins or continues a transaction; changes and the commit go to the last one. */
void sl_batch_begin(sl_batch *batch, const sl_txn *txn, bool continued);
/* Copies the change with its values. */
void sl_batch_add(sl_batch *batch, const sl_change *change);
void sl_batch_commit(sl_batch *batch, const sl_txn *txn);
/* Copies a change anew with its new row whole: what was not sent is taken from values (per column
 * of the relation; those that are unsent there too stay so). Returns the copy, which replaces it.
 */
sl_change *sl_batch_fill(sl_batch *batch, uint32_t index, const uint8_t *const *values);
/* Takes out the changes for which drop (per change) is true; their transactions stay. */
void sl_batch_remove(sl_batch *batch, const bool *drop);
/* Takes the last transaction out again when it has no changes and lies wholly in this batch. */
bool sl_batch_drop_empty(sl_batch *batch);
static inline bool sl_batch_full(const sl_batch *batch)
{
    return batch->bytes >= SL_BATCH_BYTES || batch->n_changes >= SL_BATCH_CHANGES;
}
/* Has it a transaction that is not complete? */
static inline bool sl_batch_open(const sl_batch *batch)
{
    return batch->n_txns > 0 && batch->txns[batch->n_txns - 1].txn.end_lsn == 0;
}

/* The hand-over: at most one batch waits in it. The reader gives small batches when the applier is
 * idle and full ones always; it can wait for room with a timeout, so that it can send feedback
 * meanwhile. The position of a keepalive ("everything committed before it was handed over") travels
 * here too. */
typedef struct sl_exchange sl_exchange;

typedef struct sl_idle {
    sl_lsn lsn;  /* nothing that was committed before it is still to come; 0 none */
    bool urgent; /* the source waits for an acknowledgement */
} sl_idle;

sl_exchange *sl_exchange_new(void);
void sl_exchange_free(sl_exchange *x); /* frees a batch left inside */

/* Reader. False when there is no room within timeout_ms, or the exchange is closed: then the batch
 * is still the caller's. */
bool sl_exchange_give(sl_exchange *x, sl_batch *batch, int timeout_ms);
/* Is the applier waiting for work, with nothing in the exchange? */
bool sl_exchange_hungry(const sl_exchange *x);
/* Readable when the applier has become hungry, or after sl_exchange_wake; sl_exchange_woken empties
 * it. */
int sl_exchange_fd(const sl_exchange *x);
void sl_exchange_woken(sl_exchange *x);
void sl_exchange_wake(sl_exchange *x);
/* A keepalive's position; only with nothing undelivered in the reader's hands. */
void sl_exchange_set_idle(sl_exchange *x, sl_lsn lsn, bool urgent);
/* No more batches; what is inside still comes out. */
void sl_exchange_close(sl_exchange *x);

/* Applier. The next batch, or NULL after timeout_ms or with *closed. *idle is the position for
 * which all batches were taken before this call (0 with a batch). */
sl_batch *sl_exchange_take(sl_exchange *x, int timeout_ms, sl_idle *idle, bool *closed);
/* From any thread: the applier comes back from its wait, though there is nothing for it. */
void sl_exchange_nudge(sl_exchange *x);
/* The applier has ended: the reader's give returns false from now on. */
void sl_exchange_abandon(sl_exchange *x);

#endif
