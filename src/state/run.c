/* run.c: what a worker's stages share: connections, events, progress. */
#include "state/run.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"

static const char *const stage_names[] = { "starting", "precheck",  "schema",   "copy",
                                           "finish",   "streaming", "retrying", "done" };
static const char *const table_state_names[] = { "waiting",     "copying",       "indexing",
                                                 "catching_up", "synchronizing", "set_aside",
                                                 "failed" };

const char *sl_stage_name(sl_stage stage)
{
    return stage_names[stage];
}

const char *sl_table_state_name(sl_table_state state)
{
    return table_state_names[state];
}

double sl_progress_lag_seconds(const sl_progress *p)
{
    int64_t oldest = p->oldest_pending_us;
    if (oldest == 0)
        return 0;
    double lag = (double)(sl_now_us() + p->clock_offset_us - oldest) / 1e6;
    return lag > 0 ? lag : 0;
}

int64_t sl_progress_lag_bytes(const sl_progress *p)
{
    uint64_t source = p->source_lsn, applied = p->applied_lsn;
    return source > applied && applied > 0 ? (int64_t)(source - applied) : 0;
}

sl_rc sl_run_connect(sl_run *run, sl_side side, const char *name, unsigned flags, sl_pg **pg,
                     sl_error *err)
{
    bool known = run->source.encoding[0] && run->destination.encoding[0];
    sl_pg_options options = {
        .side = side,
        .name = name,
        .application_name = run->application,
        .replication = (flags & SL_CONNECT_REPLICATION) != 0,
        .encoding = known ? sl_pick_encoding(&run->source, &run->destination, side) : NULL,
        .want_replica_role = (flags & SL_CONNECT_REPLICA_ROLE) != 0,
        .decoding_work_mem = flags & SL_CONNECT_REPLICATION ? "256MB" : NULL,
        .server_version = side == SL_SOURCE ? run->source.version : 0,
        .stop = flags & SL_CONNECT_WHILE_STOPPING ? NULL : run->stop,
    };
    const sl_endpoint *endpoint = side == SL_SOURCE ? &run->spec->source : &run->spec->destination;
    return sl_pg_connect(endpoint, &options, pg, err);
}

void sl_event(sl_run *run, const char *event, const char *fmt, ...)
{
    json_error_t why;
    va_list ap;
    va_start(ap, fmt);
    json_t *fields = json_vpack_ex(&why, 0, fmt, ap);
    va_end(ap);
    if (!fields) {
        sl_warn("event %s could not be written: %s", event, why.text);
        return;
    }
    if (run->sink)
        run->sink(run->sink_self, event, fields);
    json_decref(fields);
}

void sl_run_set_stage(sl_run *run, sl_stage stage)
{
    run->progress.stage = stage;
    run->progress.stage_since_us = sl_now_us();
    sl_pulse_beat(&run->pulse);
    sl_event(run, "stage", "{s:s}", "stage", sl_stage_name(stage));
}
