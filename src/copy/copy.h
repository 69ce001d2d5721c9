/* copy.h: the first copy: slot, snapshot, rows, indexes.
 *
 * Invariants:
 *  1. Publications exist before the slot, the slot (or snapshot) before any row is read.
 *  2. A table's rows come from one snapshot, or each of its key ranges' from one (ranges.h); its
 *     snapshot_lsn, the oldest of them, is stored together with the state INDEXING when all rows
 *     are durable, a range's by the transaction that copies it.
 *  3. A table whose heap was rewritten since the snapshot (relfilenode differs) is not read under
 *     it.
 *  4. A table in INDEXING or later is never copied again; of an unfinished one the missing key
 *     ranges are copied under a new snapshot, or it is emptied (only if this task created it) and
 *     copied from the beginning. */
#ifndef SL_COPY_COPY_H
#define SL_COPY_COPY_H

#include "schema/schema.h"

/* What a task owns on the source. Made if missing, in step with the routes. */
sl_rc sl_publications_ensure(sl_run *run, sl_pg *source, sl_error *err);
sl_rc sl_publications_drop(const sl_run *run, sl_pg *source, sl_error *err);
/* Drops the slot if it is there; ends our own session that may still use it. */
sl_rc sl_slot_drop(const sl_run *run, sl_pg *source, sl_error *err);
/* Below 10 slots of snapshots outlive a crash: drops those that nobody uses. */
sl_rc sl_slot_drop_temporary(const sl_run *run, sl_pg *source, sl_error *err);

/* A snapshot that other sessions can import, and the LSN from which the stream follows it. */
typedef struct sl_snapshot {
    char name[64];
    sl_lsn lsn;    /* 0 without a slot (no incremental stage) */
    sl_pg *holder; /* the session that keeps it alive; it must stay idle */
    char slot[64]; /* to be dropped with it (below 10, where no slot is temporary), or "" */
} sl_snapshot;
/* The task's slot and its snapshot; writes the checkpoint. Drops a slot that has no checkpoint. */
sl_rc sl_snapshot_with_slot(sl_run *run, sl_pg *source, sl_pg *destination, sl_snapshot *snapshot,
                            sl_error *err);
/* A temporary slot's (incremental stage chosen), or a plain exported snapshot. */
sl_rc sl_snapshot_temporary(sl_run *run, sl_snapshot *snapshot, sl_error *err);
void sl_snapshot_release(sl_snapshot *snapshot);

/* Copies every table that is not yet in INDEXING or later under this snapshot, several at once,
 * largest first, and builds each table's indexes as its rows are in. Tables that need another
 * snapshot stay WAITING: *unfinished counts them.  The snapshot is
 * released as soon as no rows are left to read; its lsn stays. */
sl_rc sl_copy_tables(sl_run *run, sl_schema *schema, sl_snapshot *snapshot, size_t *unfinished,
                     sl_error *err);
/* After all rows and indexes: foreign keys, attachments, ANALYZE, sequences; tables become
 * CATCHING_UP (or stay, without incremental). Repeatable. */
sl_rc sl_copy_finish(sl_run *run, sl_schema *schema, sl_error *err);
/* Foreign keys that failed because tables were copied at different moments, once all are in step.
 * Waits for locks and reads whole tables: in a thread of its own, with its own stop in run. */
sl_rc sl_copy_retry_keys(sl_run *run, sl_error *err);

#endif
