/* start.c: the slot and the checkpoint must fit together, else rows would be lost without a sound.
 */
#include "stream/start.h"

#include <string.h>

static const char start_anew[] =
    "What was committed since cannot be read any more. Release the task and start it anew: "
    "`pgsluice release FILE`, then `pgsluice run FILE`.";

static sl_rc check_slot(sl_run *run, const PGresult *res, sl_start *start, sl_error *err)
{
    char confirmed[24], acked[24];
    if (PQntuples(res) == 0) {
        sl_fail(err, SL_FAILED, "the replication slot %s does not exist on the source any more",
                run->slot);
        return sl_hint(err,
                       "Somebody dropped it, or the source is a promoted standby that did not have "
                       "it (see docs/prepare-source.md, Failover). %s",
                       start_anew);
    }
    const char *library = run->plugin.plugin->library;
    if (strcmp(sl_cell(res, 0, 4), library) != 0) {
        sl_fail(err, SL_FAILED,
                "the replication slot %s was made for the output plugin %s, but %s is to be used",
                run->slot, sl_cell(res, 0, 4), library);
        return sl_hint(err, "Put back the specification's key `decoder`, or release the task and "
                            "start it anew.");
    }
    const char *status = sl_cell(res, 0, 2);
    if ((status && strcmp(status, "lost") == 0) || !sl_cell(res, 0, 1)) {
        sl_fail(err, SL_FAILED, "the replication slot %s was invalidated by the source%s%s%s",
                run->slot, sl_cell(res, 0, 3) ? " (" : "",
                sl_cell(res, 0, 3) ? sl_cell(res, 0, 3) : "", sl_cell(res, 0, 3) ? ")" : "");
        return sl_hint(err, "%s Raise max_slot_wal_keep_size on the source before.", start_anew);
    }
    /* 9.4 and 9.5 do not tell. */
    start->confirmed = sl_cell(res, 0, 0) ? sl_cell_lsn(res, 0, 0) : start->checkpoint.acked_lsn;
    if (start->confirmed > start->checkpoint.acked_lsn) {
        sl_fail(
            err, SL_FAILED,
            "the replication slot %s was moved to %s by somebody else; this task acknowledged %s",
            run->slot, sl_lsn_text(start->confirmed, confirmed),
            sl_lsn_text(start->checkpoint.acked_lsn, acked));
        return sl_hint(err, "%s", start_anew);
    }
    return SL_OK;
}

static sl_rc read_slot(sl_run *run, sl_pg *source, sl_start *start, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const char *reason = source->version >= SL_PG_17 ? "invalidation_reason" : "NULL";
    const char *sql =
        sl_sql(&tmp,
               "SELECT %s, restart_lsn, %s, %s, plugin FROM"
               " pg_catalog.pg_replication_slots WHERE slot_name = %L",
               source->version >= SL_PG_9_6 ? "confirmed_flush_lsn" : "NULL",
               source->version >= SL_PG_13 ? "wal_status" : "NULL", reason, run->slot);
    if (sl_pg_query(source, sql, &res, err) != SL_OK)
        return sl_while(err, "reading the replication slot");
    return check_slot(run, res, start, err);
}

static sl_rc check_system(const sl_checkpoint *cp, const char *system_id, sl_error *err)
{
    if (!cp->system_id[0] || !system_id[0] || strcmp(cp->system_id, system_id) == 0)
        return SL_OK;
    sl_fail(err, SL_FAILED, "the source is another server now (system identifier %s, was %s)",
            system_id, cp->system_id);
    return sl_hint(err, "Point the specification at the server that the task began with, or "
                        "release the task and start it anew.");
}

sl_rc sl_start_check_source(sl_run *run, sl_pg *source, const sl_checkpoint *checkpoint,
                            sl_error *err)
{
    sl_start start = { .checkpoint = *checkpoint };
    if (check_system(checkpoint, run->source.system_id, err) != SL_OK)
        return err->code;
    return read_slot(run, source, &start, err);
}

sl_rc sl_start_explain(sl_error *err)
{
    bool gone = strcmp(err->sqlstate, "58P01") == 0 || /* a WAL file is not there */
                (strcmp(err->sqlstate, "55000") == 0 && strstr(err->message, "slot"));
    if (gone)
        sl_hint(err, "The source has removed WAL that this task needs. %s", start_anew);
    return err->code;
}

static sl_rc check_publications(sl_run *run, sl_pg *source, sl_start *start, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const char *sql = sl_sql(&tmp,
                             "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_publication WHERE"
                             " pubname = %L), EXISTS (SELECT 1 FROM pg_catalog.pg_publication"
                             " WHERE pubname = %L)",
                             run->publication, run->publication_inserts);
    if (!sl_run_publishes(run))
        return SL_OK;
    if (sl_pg_query(source, sql, &res, err) != SL_OK)
        return sl_while(err, "reading the source's publications");
    start->inserts_publication = sl_cell_bool(res, 0, 1);
    if (sl_cell_bool(res, 0, 0))
        return SL_OK;
    sl_fail(err, SL_FAILED, "the publication %s does not exist on the source any more",
            run->publication);
    return sl_hint(err,
                   "Changes that were committed without it cannot be told from those that were "
                   "not. Release the task and start it anew.");
}

static sl_rc read_source(sl_run *run, sl_pg *source, sl_start *start, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    if (sl_pg_query(source, sl_sql(&tmp, "SELECT %s", sl_position_sql(source->version)), &res,
                    err) != SL_OK)
        return sl_while(err, "reading the source's position");
    start->source_lsn = sl_cell_lsn(res, 0, 0);
    return check_publications(run, source, start, err);
}

sl_rc sl_start_check(sl_run *run, sl_pg *source, sl_pg *destination, sl_start *start, sl_error *err)
{
    sl_state_end_predecessors(run, source);
    sl_state_end_predecessors(run, destination);
    if (sl_checkpoint_read(run, destination, &start->checkpoint, err) != SL_OK)
        return err->code;
    if (!start->checkpoint.exists)
        return sl_fail(err, SL_FAILED, "task %s has no checkpoint to go on from", run->id);
    if (sl_state_check_epoch(run, destination, err) != SL_OK ||
        sl_state_load_skips(run, destination, &start->skips, err) != SL_OK ||
        read_slot(run, source, start, err) != SL_OK)
        return err->code;
    return read_source(run, source, start, err);
}

static sl_rc diverged(const sl_checkpoint *cp, const char *what, sl_lsn end, sl_error *err)
{
    char applied[24], text[24];
    sl_fail(err, SL_FAILED,
            "the source has lost transactions that the destination has: %s %s, applied is %s", what,
            sl_lsn_text(end, text), sl_lsn_text(cp->applied_end_lsn, applied));
    return sl_hint(err, "It was restored from a backup, or failed over to a standby that was "
                        "behind. Release the task and start it anew.");
}

/* A promoted standby, or a server that was recovered to a point in time, goes on from where it left
 * the timeline; what we have applied beyond that is not in its history, whatever its WAL's end is
 * now. */
static sl_rc check_timeline(sl_run *run, sl_pg *replication, sl_pg *destination,
                            const sl_checkpoint *cp, unsigned present, sl_error *err)
{
    sl_lsn left;
    SL_SCRATCH(tmp);
    if (sl_repl_switch_point(replication, present, cp->timeline, &left, err) != SL_OK)
        return err->code;
    if (cp->applied_end_lsn > left)
        return diverged(cp, "it left our timeline at", left, err);
    sl_event(run, "source.timeline", "{s:i, s:i}", "was", (int)cp->timeline, "is", (int)present);
    if (sl_pg_exec(destination,
                   sl_sql(&tmp,
                          "UPDATE %I.checkpoint SET timeline = %u WHERE task_id = %L AND epoch ="
                          " %lld",
                          run->spec->state_schema, present, run->id, (long long)run->epoch),
                   err) != SL_OK)
        return sl_while(err, "storing the source's timeline");
    return SL_OK;
}

sl_rc sl_start_identify(sl_run *run, sl_pg *replication, sl_pg *destination, const sl_start *start,
                        sl_error *err)
{
    sl_system system;
    const sl_checkpoint *cp = &start->checkpoint;
    if (sl_repl_identify(replication, &system, err) != SL_OK)
        return err->code;
    if (check_system(cp, system.system_id, err) != SL_OK)
        return err->code;
    if (cp->applied_end_lsn > system.flush_lsn)
        return diverged(cp, "its WAL ends at", system.flush_lsn, err);
    if (cp->timeline == system.timeline)
        return SL_OK;
    return check_timeline(run, replication, destination, cp, system.timeline, err);
}

void sl_start_free(sl_start *start)
{
    sl_map_free(start->skips);
    start->skips = NULL;
}
