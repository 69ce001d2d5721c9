/* filter.h: which changes of a batch concern the destination, where tables have conditions.
 *
 * The source judges: rows of the changes are sent to it with their condition, in one query per
 * batch and table, in the reader's thread. So a condition means the same as in the copy: the same
 * server, functions, collations and settings.
 *
 * With REPLICA IDENTITY FULL both rows of an UPDATE are known, and what it is for the destination
 * is exact: nothing, INSERT, UPDATE or DELETE. Otherwise the old row is not, and the change is
 * marked `maybe`: an UPDATE whose new row matches puts the row there, whether it is there or not;
 * one whose new row does not match, and a DELETE, take it away if it is there.
 *
 * Unsent (TOASTed) values: a row that is to be put there must be whole, and a condition needs its
 * columns. What the change lacks is read from the source's present row of that key. It may be newer
 * than the change; then the change that made it so is still to come, and has it. The row may be
 * gone; then so will be its DELETE or key change, and until then it counts as one that does not
 * match. */
#ifndef SL_STREAM_FILTER_H
#define SL_STREAM_FILTER_H

#include "state/state.h"
#include "stream/batch.h"

typedef struct sl_filter sl_filter;

/* NULL when no route has a condition. *source is an ordinary connection, made when it is first
 * needed, the caller's. binary: the form of the stream's values. */
sl_filter *sl_filter_new(sl_run *run, sl_pg **source, bool binary);
void sl_filter_free(sl_filter *f);

/* Judges the changes of tables with a condition: takes those out that do not concern the
 * destination, turns others into what they are for it, completes their rows. NULL filter: nothing.
 */
sl_rc sl_filter_batch(sl_filter *f, sl_batch *batch, sl_error *err);

#endif
