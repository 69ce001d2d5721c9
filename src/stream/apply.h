/* apply.h: applies batches to the destination, exactly once and in order, with the checkpoint in
 * the same transaction.
 *
 * Whole source transactions of a batch become one destination transaction, whose first statement
 * moves the checkpoint and fails if this worker's epoch is over. A transaction larger than a batch
 * is written on in one open destination transaction. What a batch needs is sent without waiting for
 * its end: the results are read before the next batch is sent, so that client and server work at
 * the same time.
 *
 * When a coalesced flush fails, its originals are applied one by one, in order, under the error
 * policy. */
#ifndef SL_STREAM_APPLY_H
#define SL_STREAM_APPLY_H

#include "state/state.h"
#include "stream/batch.h"

typedef struct sl_applier sl_applier;

/* Connects to the destination (two sessions: one applies, one is for catalogs and records). binary:
 * the form of the stream's values. */
sl_rc sl_applier_new(sl_run *run, bool binary, sl_applier **applier, sl_error *err);
void sl_applier_free(sl_applier *a); /* an open transaction is rolled back */

/* Did it fail because a value's binary form is not known? Then a stream in text can go on. */
bool sl_applier_needs_text(const sl_applier *a);

/* Applies a batch and takes it. */
sl_rc sl_applier_apply(sl_applier *a, sl_batch *batch, sl_error *err);
/* Waits until all that was taken is committed (except an open transaction). */
sl_rc sl_applier_settle(sl_applier *a, sl_error *err);
/* In the middle of a transaction that is larger than a batch? */
bool sl_applier_in_transaction(const sl_applier *a);
/* End of the last transaction that is committed in the destination; 0: none in this run. */
sl_lsn sl_applier_applied(const sl_applier *a);
/* The session for everything else: idle, outside of any transaction of the applying one. */
sl_pg *sl_applier_control(sl_applier *a);

#endif
