/* ranged.h: changes of a table whose key ranges were copied at different moments.
 *
 * Between the oldest and the newest of the ranges' snapshots, the copy holds a change of one range
 * already and lacks that of another. A row that moves from one to the other becomes an INSERT or a
 * DELETE of the side that the copy lacks. */
#ifndef SL_STREAM_RANGED_H
#define SL_STREAM_RANGED_H

#include "state/state.h"
#include "stream/change.h"

/* Decides about a change that commits at `lsn`, between the snapshots: *wanted, and *change as it
 * is then to be applied (its offsets may point into `offsets`, SL_MAX_COLUMNS long). SL_NOT_FOUND
 * when the change does not tell: then only copying the table anew helps. */
sl_rc sl_ranged_change(const sl_ranges *ranges, sl_lsn lsn, sl_change *change, uint32_t *offsets,
                       bool *wanted);

#endif
