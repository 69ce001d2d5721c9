/* describe.h: a change in words, for error records and messages. */
#ifndef SL_STREAM_DESCRIBE_H
#define SL_STREAM_DESCRIBE_H

#include "stream/session.h"

/* Fills everything but state. Binary values are rendered by the destination, through an idle
 * connection outside of the applying transaction; where that fails their length is given instead.
 * Lives in the arena. */
void sl_describe_change(sl_pg *control, bool binary, const sl_bound *bound, const sl_change *change,
                        const sl_txn *txn, const sl_failure *failure, sl_arena *arena,
                        sl_change_error *out);

/* The error that stops the stream at that change: names the table, operation, key, LSN and cause,
 * and what to do. Returns SL_FAILED. */
sl_rc sl_stop_error(const sl_run *run, const sl_change_error *e, const sl_failure *failure,
                    sl_error *err);

#endif
