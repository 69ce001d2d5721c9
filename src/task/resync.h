/* resync.h: one table again, while the stream of all others goes on.
 *
 * A thread beside the stream takes the tables for which a resync is asked for, one after the other.
 * It is a second, small run of the same machinery (copy, stream, fences) with a slot and a
 * checkpoint of its own:
 *
 *   1. its slot and snapshot; the table is copied into a shadow table in the state schema
 *   2. its stream brings the shadow table close to where the main stream is
 *   3. gate: the main stream stands at X; from X on it leaves the table alone (its snapshot_lsn is
 *      SL_LSN_RESYNC)
 *   4. its stream brings the shadow table to Y >= X; the difference is merged into the real table
 *   5. its stream now writes the real table, until it is close to the main stream again
 *   6. gate: the main stream stands at Z; its stream comes to at least Z; snapshot_lsn = there; the
 *      main stream takes the table back
 *
 * The gate is closed only for moments. After a crash the table is found by its snapshot_lsn and
 * done again from 1. Its rows stay readable all the time: they are as of X until the merge. */
#ifndef SL_TASK_RESYNC_H
#define SL_TASK_RESYNC_H

#include "state/state.h"

typedef struct sl_resync sl_resync;

/* Starts the thread; run's stream is about to start, and run->gate is set. It listens for requests
 * on keeper, which nobody else may use until sl_resync_stop. NULL when it cannot. */
sl_resync *sl_resync_start(sl_run *run, sl_pg *keeper);
/* Is it at work on a table? NULL is never. */
bool sl_resync_busy(const sl_resync *resync);
/* Ends it, in the middle of a table if need be. NULL is fine. */
void sl_resync_stop(sl_resync *resync);

/* Removes what interrupted resyncs of the task left: slots, shadow tables, state. For `release`;
 * source NULL when it is gone: then its slots are named on standard output by the caller. */
sl_rc sl_resync_remove_all(const sl_run *run, sl_pg *source, sl_pg *destination, sl_error *err);

#endif
