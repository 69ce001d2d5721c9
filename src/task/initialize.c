/* initialize.c: the schema and full stages, up to where the stream begins. */
#include <stdlib.h>

#include "stream/start.h"
#include "task/follow.h"

/* A copy that makes no progress over this many snapshots in a row is given up for now. */
#define MAX_IDLE_PASSES 20

static bool wants(const worker *w, unsigned stage)
{
    return (w->run.spec->stages & stage) != 0;
}

/* A table is done with initialization when it is at least CATCHING_UP, or INDEXING where there is
 * no stream to catch up with (its later objects are recorded on their own). */
static bool is_initialized(const worker *w)
{
    for (size_t i = 0; i < w->run.routes->n; i++) {
        int state = w->run.tables[i].state;
        if (state < SL_TABLE_CATCHING_UP)
            return false;
    }
    return w->run.routes->n > 0;
}

static sl_rc read_schema(worker *w, const sl_snapshot *snapshot, sl_schema **schema, sl_error *err)
{
    SL_SCRATCH(tmp);
    sl_error ignored = SL_ERROR_INIT;
    sl_pg *source = w->source;
    if (snapshot->name[0] && sl_pg_exec(source,
                                        sl_sql(&tmp,
                                               "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
                                               " SET TRANSACTION SNAPSHOT %L",
                                               snapshot->name),
                                        err) != SL_OK)
        return sl_while(err, "importing snapshot %s", snapshot->name);
    sl_rc rc = sl_schema_load(&w->run, source, w->run.destination.version, schema, err);
    if (snapshot->name[0])
        sl_pg_exec(source, "COMMIT", rc == SL_OK ? err : &ignored);
    return rc;
}

/* Own tables for what comes next: those made in this phase, now or before a restart. */
static sl_rc create_schema(worker *w, const sl_snapshot *snapshot, sl_schema **schema,
                           sl_error *err)
{
    sl_rc rc = SL_OK;
    sl_run_set_stage(&w->run, SL_AT_SCHEMA);
    if (wants(w, SL_STAGE_SCHEMA)) {
        rc = read_schema(w, snapshot, schema, err);
        if (rc == SL_OK)
            rc = sl_schema_apply_phase(&w->run, *schema, SL_PHASE_PRE, w->keeper, err);
    } else {
        *schema = sl_xcalloc(1, sizeof(**schema));
        (*schema)->recorded = sl_map_new();
    }
    if (rc == SL_OK)
        rc = sl_state_own_created(&w->run, w->keeper, err);
    return rc;
}

static sl_rc copy_all(worker *w, sl_schema *schema, sl_snapshot *snapshot, sl_error *err)
{
    size_t unfinished = 0, before = SIZE_MAX;
    int idle = 0;
    sl_run_set_stage(&w->run, SL_AT_COPY);
    for (;;) {
        if (!snapshot->name[0] && sl_snapshot_temporary(&w->run, snapshot, err) != SL_OK)
            return err->code;
        sl_rc rc = sl_copy_tables(&w->run, schema, snapshot, &unfinished, err);
        sl_snapshot_release(snapshot);
        if (rc != SL_OK || unfinished == 0)
            return rc;
        idle = unfinished < before ? 0 : idle + 1;
        before = unfinished;
        if (idle >= MAX_IDLE_PASSES) {
            sl_fail(err, SL_TRANSIENT,
                    "%zu table%s could not be copied under %d snapshots in a row", unfinished,
                    unfinished == 1 ? "" : "s", idle);
            return sl_hint(err, "Something keeps rewriting or locking them on the source (VACUUM "
                                "FULL, ALTER TABLE): let it end.");
        }
    }
}

/* Without the full stage the tables follow the stream from the slot on. */
static sl_rc follow_from_slot(worker *w, sl_lsn lsn, sl_error *err)
{
    for (size_t i = 0; i < w->run.routes->n; i++) {
        sl_table *t = &w->run.tables[i];
        if (t->state != SL_TABLE_WAITING)
            continue;
        t->snapshot_lsn = lsn;
        if (sl_state_set_table(&w->run, w->keeper, t, SL_TABLE_CATCHING_UP, NULL, err) != SL_OK)
            return err->code;
    }
    return SL_OK;
}

static sl_rc prepare_source(worker *w, sl_snapshot *snapshot, sl_error *err)
{
    sl_checkpoint cp;
    sl_rc rc = sl_run_choose_plugin(&w->run, w->source, err);
    if (rc == SL_OK)
        rc = sl_slot_drop_temporary(&w->run, w->source, err);
    if (rc == SL_OK)
        rc = sl_checkpoint_read(&w->run, w->keeper, &cp, err);
    if (rc == SL_OK && cp.exists)
        rc = sl_start_check_source(&w->run, w->source, &cp, err);
    if (rc == SL_OK)
        rc = sl_publications_ensure(&w->run, w->source, err);
    if (rc == SL_OK && !cp.exists)
        rc = sl_snapshot_with_slot(&w->run, w->source, w->keeper, snapshot, err);
    else if (rc == SL_OK)
        snapshot->lsn = cp.applied_end_lsn;
    return rc;
}

static sl_rc initialize(worker *w, sl_snapshot *snapshot, sl_schema **schema, sl_error *err)
{
    sl_rc rc = SL_OK;
    if (wants(w, SL_STAGE_INCREMENTAL))
        rc = prepare_source(w, snapshot, err);
    if (rc != SL_OK || (is_initialized(w) && wants(w, SL_STAGE_INCREMENTAL)))
        return rc;
    sl_error ignored = SL_ERROR_INIT;
    bool beside = wants(w, SL_STAGE_INCREMENTAL) && wants(w, SL_STAGE_FULL) && sl_added_streams(w);
    if (!beside)
        sl_state_set_task(&w->run, w->keeper, "initializing", NULL, &ignored);
    rc = create_schema(w, snapshot, schema, err);
    if (rc == SL_FAILED && beside && w->follows)
        return sl_follow_give_up(w, err);
    beside = beside && rc == SL_OK && sl_added_are_ours(w);
    if (rc == SL_OK && wants(w, SL_STAGE_FULL) && !beside)
        rc = copy_all(w, *schema, snapshot, err);
    else if (rc == SL_OK && !beside)
        rc = sl_schema_apply_phase(&w->run, *schema, SL_PHASE_INDEX, w->keeper, err);
    if (rc == SL_OK) {
        sl_run_set_stage(&w->run, SL_AT_FINISH);
        rc = sl_copy_finish(&w->run, *schema, err);
    }
    if (rc == SL_OK && beside)
        rc = sl_added_request(w, err);
    if (rc == SL_OK && wants(w, SL_STAGE_INCREMENTAL) && !wants(w, SL_STAGE_FULL))
        rc = follow_from_slot(w, snapshot->lsn, err);
    return rc;
}

sl_rc sl_task_initialize(worker *w, sl_error *err)
{
    sl_snapshot snapshot = { 0 };
    sl_schema *schema = NULL;
    sl_rc rc = initialize(w, &snapshot, &schema, err);
    sl_snapshot_release(&snapshot);
    sl_schema_free(schema);
    return rc;
}
