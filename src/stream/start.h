/* start.h: may the stream start where the checkpoint says? */
#ifndef SL_STREAM_START_H
#define SL_STREAM_START_H

#include "pg/replication.h"
#include "state/state.h"

typedef struct sl_start {
    sl_checkpoint checkpoint;
    sl_lsn confirmed;         /* what the slot was told: safe to acknowledge from the start */
    sl_lsn source_lsn;        /* the source's insert LSN */
    sl_map *skips;            /* owned */
    bool inserts_publication; /* the publication of tables without identity exists */
} sl_start;

/* Reads checkpoint and slot, ends our own predecessors' sessions. SL_FAILED, with what to do, when
 * the slot is gone, invalidated, was moved by somebody else, or the source is another server. */
sl_rc sl_start_check(sl_run *run, sl_pg *source, sl_pg *destination, sl_start *start,
                     sl_error *err);
/* The same for what only the replication connection knows; stores a new timeline. */
sl_rc sl_start_identify(sl_run *run, sl_pg *replication, sl_pg *destination, const sl_start *start,
                        sl_error *err);
/* Only the server and the slot against the checkpoint, before anything is made or a long copy is
 * gone on with. */
sl_rc sl_start_check_source(sl_run *run, sl_pg *source, const sl_checkpoint *checkpoint,
                            sl_error *err);
/* Adds to an error of the stream's what to do where the source's WAL is gone; returns its code. */
sl_rc sl_start_explain(sl_error *err);
void sl_start_free(sl_start *start);

#endif
