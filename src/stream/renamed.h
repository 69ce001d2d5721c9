/* renamed.h: were columns renamed on the source after the changes that are on their way?
 *
 * Changes name columns as they were called at their time. Where a column was renamed since, and the
 * destination's too, a value would be left out as that of a dropped column, or written to another
 * column that has its name now. */
#ifndef SL_STREAM_RENAMED_H
#define SL_STREAM_RENAMED_H

#include "state/state.h"
#include "stream/change.h"

/* Can the relation's columns be those that the source's table has now, but for columns that were
 * dropped or added since? SL_FAILED when only a rename explains them. `source` is idle; a table
 * that is not there any more is no failure. */
sl_rc sl_renamed_check(const sl_run *run, sl_pg *source, const sl_relation *rel, sl_error *err);

/* Are the relation's columns exactly the route's, in the same order? Then there is nothing to ask.
 */
bool sl_renamed_same(const sl_relation *rel);

#endif
