/* apply_internal.h: what apply.c and fallback.c share. */
#ifndef SL_STREAM_APPLY_INTERNAL_H
#define SL_STREAM_APPLY_INTERNAL_H

#include "stream/apply.h"
#include "stream/describe.h"
#include "stream/write.h"

typedef struct segment {
    sl_batch *batch;
    uint32_t from, to; /* transactions of the batch */
    bool part;         /* of a transaction larger than a batch (from + 1 == to) */
    bool last;         /* of its batch: the batch is freed when it is settled */
} segment;

struct sl_applier {
    sl_run *run;
    bool binary;
    bool strict; /* no replica role: foreign keys and triggers act */
    sl_session *session;
    sl_pg *control;
    sl_binder *binder;
    sl_writer *writer;
    sl_coalescer *coalescer;
    sl_arena arena;   /* lives as long as the applier */
    sl_arena scratch; /* of the segment being sent */
    const char *advance_sql, *fence_sql;
    sl_stmt *advance, *fence;
    segment pending; /* sent, not settled; batch NULL: none */
    bool begun;      /* the segment being sent has sent its first statement */
    bool open;       /* a destination transaction is open in the session */
    bool broken;     /* settling failed: what is pending is not applied and never will be */
    sl_lsn applied;
    sl_lsn commit_lsn;                   /* of the change in hand */
    int64_t rows, bytes;                 /* metered with the next checkpoint */
    int64_t carried_rows, carried_bytes; /* of the large transaction's parts so far */
};

void sl_apply_begin(sl_applier *a);
void sl_apply_fence(sl_applier *a);
void sl_apply_advance(sl_applier *a, const sl_txn *txn);
/* Measures transactions [from, to) of a batch for the checkpoint that comes next. */
void sl_apply_measure(sl_applier *a, const sl_batch *batch, uint32_t from, uint32_t to);
/* Commits and waits. */
sl_rc sl_apply_commit(sl_applier *a, sl_failure *failure);
/* ROLLBACK or ROLLBACK TO, and waits. */
sl_rc sl_apply_rollback(sl_applier *a, const char *sql, sl_error *err);
sl_rc sl_apply_one(sl_applier *a, const sl_change *change, uint32_t tag, sl_error *err);
void sl_segment_range(const segment *seg, uint32_t *from, uint32_t *to);

/* The segment's statements (or its COMMIT) failed with the data's error: applies its changes one by
 * one. */
sl_rc sl_apply_fallback(sl_applier *a, const segment *seg, sl_failure *failure, bool at_commit,
                        sl_error *err);

#endif
