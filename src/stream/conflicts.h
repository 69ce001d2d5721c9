/* conflicts.h: counts where the destination was not as the stream expected it, per table and kind.
 *
 * What is noted counts once the transaction that met it is committed (keep), and not if it is
 * rolled back and tried in another way (forget). The applier's thread only. */
#ifndef SL_STREAM_CONFLICTS_H
#define SL_STREAM_CONFLICTS_H

#include "state/state.h"

/* SL_CONFLICT_KINDS for a name that is none, or NULL. */
sl_conflict_kind sl_conflict_kind_of(const char *name);

void sl_conflicts_note(sl_run *run, sl_table *table, sl_conflict_kind kind, int64_t n);
void sl_conflicts_keep(sl_run *run);
void sl_conflicts_forget(sl_run *run);
/* Adds what was kept since the last time to the destination's counts, and tells it by events. */
sl_rc sl_conflicts_store(sl_run *run, sl_pg *destination, sl_error *err);

#endif
