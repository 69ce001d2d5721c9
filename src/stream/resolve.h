/* resolve.h: which route a relation of the stream belongs to. */
#ifndef SL_STREAM_RESOLVE_H
#define SL_STREAM_RESOLVE_H

#include "state/state.h"
#include "stream/change.h"

/* *route is NULL for a relation that is not selected. SL_FAILED with what to do for a table that
 * was renamed or created anew; SL_TRANSIENT and run->new_tables for a new partition of a selected
 * table. *source is an ordinary
 * connection, made when it is first needed. */
sl_rc sl_resolve(sl_run *run, sl_pg **source, const sl_relation *rel, const sl_route **route,
                 sl_error *err);

#endif
