/* stream.h: applies every committed change of the source from the checkpoint on, exactly once.
 *
 * Threads: the caller's thread applies; a reader thread receives, decodes and batches; between them
 * is room for one batch. */
#ifndef SL_STREAM_STREAM_H
#define SL_STREAM_STREAM_H

#include "state/state.h"

/* Runs until run->stop is requested (SL_CANCELLED after the current batch is durable and
 * acknowledged), the transaction end at `until` is applied (SL_OK; 0: never), or an error.
 * SL_TRANSIENT errors leave everything so that a new call goes on exactly where this one was. */
sl_rc sl_stream_run(sl_run *run, sl_lsn until, sl_error *err);

/* Asks the source for the target of --until-caught-up: the LSN of a transactional message sent now.
 */
sl_rc sl_stream_target(sl_run *run, sl_pg *source, sl_lsn *target, sl_error *err);

#endif
