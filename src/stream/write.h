/* write.h: sends rows to the destination: the strategies.
 *
 *   bulk   one prepared statement over unnest of one array per column, in chunks, sorted by key
 *   COPY   long runs of new rows where nothing may be overwritten
 *   row    one prepared statement per row, pipelined: short runs, columns that unnest would
 *          flatten, and everything whose order matters */
#ifndef SL_STREAM_WRITE_H
#define SL_STREAM_WRITE_H

#include "stream/coalesce.h"
#include "stream/session.h"

typedef struct sl_writer sl_writer;
/* All three are borrowed. binary: the form of the stream's values. */
sl_writer *sl_writer_new(sl_run *run, sl_session *session, sl_binder *binder, bool binary);
void sl_writer_free(sl_writer *w);

/* All pending rows of a group; tag 0. */
void sl_write_group(sl_writer *w, sl_group *group);
/* Is the group one COPY and nothing else? Those go first: COPY cannot be pipelined. */
bool sl_write_is_copy(const sl_writer *w, const sl_group *group);
/* One change as it came. */
void sl_write_change(sl_writer *w, sl_bound *bound, const sl_change *change, uint32_t tag);
/* Brings back a row that an UPDATE did not find: INSERT of its new values, or overwrites it. False,
 * and nothing sent, when a value was not sent by the source. */
bool sl_write_upsert(sl_writer *w, sl_bound *bound, const sl_change *change, uint32_t tag);
/* bounds per change->rels; NULL ones are left out. */
void sl_write_truncate(sl_writer *w, sl_bound *const *bounds, int n, const sl_change *change,
                       uint32_t tag);

#endif
