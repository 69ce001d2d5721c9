/* reader.h: the thread that receives the source's stream, decodes it, and hands batches over. It
 * also acknowledges, on its own: neither a slow destination nor a long transaction keeps it from
 * that. */
#ifndef SL_STREAM_READER_H
#define SL_STREAM_READER_H

#include "pg/replication.h"
#include "state/state.h"
#include "stream/batch.h"
#include "stream/decoder.h"

typedef struct sl_reader sl_reader;

typedef struct sl_reader_options {
    sl_run *run;
    sl_exchange *exchange; /* borrowed */
    sl_pool *pool;         /* borrowed */
    sl_lsn applied_end;    /* transactions that committed before it are left out */
    sl_lsn acknowledged;   /* what may be acknowledged from the start */
    const sl_map *skips;   /* sl_state_load_skips; borrowed */
    sl_pg *pg;             /* replication connection, not started; taken over */
    const sl_decoder *decoder;
    bool inserts_publication; /* also follow the publication of tables without identity */
    bool binary;
} sl_reader_options;

/* Starts replication and the thread. */
sl_rc sl_reader_start(const sl_reader_options *options, sl_reader **reader, sl_error *err);
/* What the destination has flushed: acknowledged from now on. From any thread; never goes back. */
void sl_reader_acknowledge(sl_reader *r, sl_lsn lsn);
/* Ends the thread: with `polite` after a last acknowledgement and the stream's end, so that the
 * slot is free at once. Returns its error, if it failed by itself. Frees the reader. */
sl_rc sl_reader_stop(sl_reader *r, bool polite, sl_error *err);
/* Frees memory only when every relation is out of use: call after the applier is gone. */
void sl_reader_free(sl_reader *r);

#endif
