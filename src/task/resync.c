/* resync.c: see resync.h. The numbers in the functions' comments are its steps. */
#include "task/resync.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copy/copy.h"
#include "copy/merge.h"
#include "core/log.h"
#include "stream/stream.h"

#define LOOK_EVERY_MS 60000 /* without being told; a pooler in between would swallow that */
#define CLOSE_ENOUGH ((int64_t)1 << 20) /* bytes of WAL between the two streams before a gate */
#define MAX_ROUNDS 20
#define RETRY_MS 10000

struct sl_resync {
    sl_run *run; /* the main one */
    sl_pg *keeper;
    _Atomic bool busy;
    int64_t jobs; /* so far */
    pthread_t thread;
    sl_stop stop;
    pthread_mutex_t lock;
    sl_pg *merging; /* a session with a long statement, to be cancelled at a stop; under lock */
};

/* One table's resync. */
typedef struct job {
    sl_resync *resync;
    sl_run *main;
    sl_table *table; /* the main run's */
    sl_run run;      /* this resync's own */
    sl_routes routes;
    sl_route route;
    sl_pg *source, *keeper;
    sl_arena arena;
    const char *label, *shadow; /* shadow: its name in the state schema */
} job;

/* ---- the second run ---- */

static void set_up_routes(job *j)
{
    const sl_route *r = j->table->route;
    j->route = *r;
    j->route.index = 0;
    j->route.dst_schema = j->main->spec->state_schema;
    j->route.dst_table = j->shadow;
    j->routes.items = &j->route;
    j->routes.n = 1;
    j->routes.binary_stream = j->main->routes->binary_stream;
    j->routes.schemas = j->main->routes->schemas;
    j->routes.n_schemas = j->main->routes->n_schemas;
    j->routes.by_source = sl_map_new();
    j->routes.by_oid = sl_map_new();
    size_t schema = strlen(r->src_schema), table = strlen(r->src_table);
    char *key = sl_arena_alloc(&j->arena, schema + table + 2);
    memcpy(key, r->src_schema, schema + 1);
    memcpy(key + schema + 1, r->src_table, table + 1);
    sl_map_put(j->routes.by_source, key, schema + 1 + table, &j->route);
    sl_map_put(j->routes.by_oid, &j->route.oid, sizeof(j->route.oid), &j->route);
    j->run.routes = &j->routes;
}

/* Its epochs are its alone: its state is removed before it begins, and what an interrupted one of
 * the same id still has on its way must not be taken for its own. */
static void set_up_run(job *j)
{
    const sl_run *m = j->main;
    j->run.epoch_base = (m->epoch << 16) + j->resync->jobs++;
    j->label = sl_route_label(j->table->route, &j->arena);
    j->run.spec = m->spec;
    j->run.source = m->source;
    j->run.destination = m->destination;
    j->run.plugin = m->plugin;
    j->run.stop = &j->resync->stop;
    j->run.rate = m->rate;
    snprintf(j->run.id, sizeof(j->run.id), "%.20s_r%08x", m->id,
             (unsigned)sl_hash64(j->label, strlen(j->label), 0));
    snprintf(j->run.slot, sizeof(j->run.slot), "pgsluice_%s", j->run.id);
    memcpy(j->run.publication, m->publication, sizeof(m->publication));
    memcpy(j->run.publication_inserts, m->publication_inserts, sizeof(m->publication_inserts));
    snprintf(j->run.application, sizeof(j->run.application), "pgsluice/%s", j->run.id);
    j->shadow = sl_arena_printf(&j->arena, "shadow_%s", j->run.id);
    set_up_routes(j);
}

/* A pattern for LIKE: the ids of the task's resyncs. */
static const char *children_of(const sl_run *run, sl_arena *arena)
{
    return sl_arena_printf(arena, "%.20s\\_r%%", run->id);
}

static sl_rc drop_left_over(const sl_run *run, const char *shadow, sl_pg *source,
                            sl_pg *destination, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *schema = run->spec->state_schema;
    if (source && sl_slot_drop(run, source, err) != SL_OK)
        return err->code;
    if (sl_pg_exec(destination, sl_sql(&tmp, "DROP TABLE IF EXISTS %I.%I", schema, shadow), err) !=
        SL_OK)
        return sl_while(err, "dropping shadow table %s.%s", schema, shadow);
    return sl_state_remove(schema, run->id, destination, err);
}

static sl_rc open_job(job *j, sl_error *err)
{
    sl_rc rc = sl_run_connect(&j->run, SL_DESTINATION, "resync keeper", 0, &j->keeper, err);
    if (rc == SL_OK)
        rc = sl_run_connect(&j->run, SL_SOURCE, "resync session", 0, &j->source, err);
    if (rc == SL_OK) { /* an interrupted one's late COMMIT is waited for by its row's removal */
        sl_state_end_predecessors(&j->run, j->keeper);
        sl_state_end_predecessors(&j->run, j->source);
    }
    if (rc == SL_OK)
        rc = drop_left_over(&j->run, j->shadow, j->source, j->keeper, err);
    if (rc == SL_OK)
        rc = sl_state_take(&j->run, j->keeper, true, err);
    return rc;
}

static void close_job(job *j, bool complete)
{
    sl_error ignored = SL_ERROR_INIT;
    j->run.stop = NULL; /* a stop is no reason to leave a slot that holds the source's WAL */
    if (complete && j->keeper &&
        drop_left_over(&j->run, j->shadow, j->source, j->keeper, &ignored) != SL_OK)
        sl_log_error(&ignored, "what a resync leaves behind could not be removed");
    sl_pg_close(j->source);
    sl_pg_close(j->keeper);
    sl_state_free_tables(&j->run);
    sl_map_free(j->routes.by_source);
    sl_map_free(j->routes.by_oid);
    sl_arena_free(&j->arena);
}

/* ---- 1: the copy ---- */

static sl_rc make_shadow(job *j, sl_error *err)
{
    SL_BUF(columns);
    SL_SCRATCH(tmp);
    for (size_t i = 0; i < j->route.n_columns; i++)
        if (!j->route.columns[i].generated)
            sl_sql_add(&columns, "%s%I", columns.len ? ", " : "", j->route.columns[i].dst_name);
    const char *sql = sl_sql(&tmp, "CREATE UNLOGGED TABLE %I.%I AS SELECT %s FROM %s LIMIT 0",
                             j->main->spec->state_schema, j->shadow, sl_buf_str(&columns),
                             sl_route_dst_sql(j->table->route, &tmp));
    if (sl_pg_exec(j->keeper, sql, err) != SL_OK)
        return sl_while(err, "creating the shadow table of %s", j->label);
    if (sl_state_load_tables(&j->run, j->keeper, err) != SL_OK)
        return err->code;
    j->run.tables[0].created = true;
    return SL_OK;
}

static sl_rc index_shadow(job *j, sl_error *err)
{
    SL_BUF(key);
    SL_SCRATCH(tmp);
    const char *schema = j->main->spec->state_schema;
    for (size_t i = 0; i < j->route.n_key; i++)
        sl_sql_add(&key, "%s%I", i ? ", " : "", j->route.columns[j->route.key[i]].dst_name);
    const char *sql = key.len ? sl_sql(&tmp, "CREATE UNIQUE INDEX ON %I.%I (%s); ANALYZE %I.%I",
                                       schema, j->shadow, key.data, schema, j->shadow)
                              : sl_sql(&tmp, "ANALYZE %I.%I", schema, j->shadow);
    if (sl_pg_exec(j->keeper, sql, err) != SL_OK)
        return sl_while(err, "indexing the shadow table of %s", j->label);
    return SL_OK;
}

static sl_rc copy(job *j, sl_error *err)
{
    sl_snapshot snapshot = { 0 };
    sl_schema nothing = { 0 };
    size_t unfinished = 1;
    sl_rc rc = sl_snapshot_with_slot(&j->run, j->source, j->keeper, &snapshot, err);
    if (rc == SL_OK)
        rc = make_shadow(j, err);
    nothing.recorded = sl_map_new();
    for (int pass = 0; rc == SL_OK && unfinished > 0 && pass < MAX_ROUNDS; pass++) {
        if (!snapshot.name[0])
            rc = sl_snapshot_temporary(&j->run, &snapshot, err);
        if (rc == SL_OK)
            rc = sl_copy_tables(&j->run, &nothing, &snapshot, &unfinished, err);
        sl_snapshot_release(&snapshot);
    }
    sl_map_free(nothing.recorded);
    if (rc == SL_OK && unfinished > 0)
        rc = sl_fail(err, SL_TRANSIENT, "table %s is rewritten or locked all the time", j->label);
    if (rc == SL_OK)
        rc = index_shadow(j, err);
    return rc;
}

/* ---- 2 and 5: following ---- */

static int64_t behind(const job *j)
{
    return (int64_t)(j->main->progress.applied_lsn - j->run.progress.applied_lsn);
}

/* SL_OK: every change that was committed before `until` is applied. */
static sl_rc stream_to(job *j, sl_lsn until, sl_error *err)
{
    sl_rc rc = sl_stream_run(&j->run, until, err);
    if (rc == SL_OK && j->run.tables[0].state == SL_TABLE_SET_ASIDE)
        rc = sl_fail(err, SL_FAILED, "its changes do not fit the destination's table any more");
    return rc;
}

static sl_rc follow(job *j, sl_error *err)
{
    for (int round = 0; round < MAX_ROUNDS; round++) {
        sl_rc rc = stream_to(j, j->main->progress.applied_lsn, err);
        if (rc != SL_OK || behind(j) < CLOSE_ENOUGH)
            return rc;
    }
    return SL_OK; /* the source writes faster than we follow: the gate will be closed for longer */
}

/* ---- 3: the main stream lets go ---- */

static sl_rc let_go(job *j, sl_lsn *at, sl_error *err)
{
    sl_table *t = j->table;
    sl_lsn before = t->snapshot_lsn;
    if (!sl_gate_close(j->main->gate, at, j->run.stop))
        return sl_fail(err, SL_CANCELLED, "stopped");
    j->main->resynced = true;
    t->snapshot_lsn = SL_LSN_RESYNC;
    sl_rc rc = sl_state_set_table(j->main, j->keeper, t, SL_TABLE_CATCHING_UP, "resync", err);
    if (rc != SL_OK)
        t->snapshot_lsn = before;
    sl_gate_open(j->main->gate);
    return rc;
}

/* ---- 4: the difference ---- */

static void set_merging(sl_resync *r, sl_pg *pg)
{
    pthread_mutex_lock(&r->lock);
    r->merging = pg;
    pthread_mutex_unlock(&r->lock);
}

static sl_rc fence(job *j, sl_pg *destination, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const char *values[] = { j->run.id, sl_arena_printf(&tmp, "%lld", (long long)j->run.epoch) };
    if (sl_pg_query_params(destination, sl_checkpoint_sql(&j->run, SL_CP_FENCE, &tmp), 2, values,
                           &res, err) != SL_OK)
        return err->code;
    if (strcmp(PQcmdTuples(res), "1") != 0)
        return sl_fail(err, SL_FENCED, "the resync of %s was taken over", j->label);
    return SL_OK;
}

static sl_rc merge(job *j, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_PG(destination);
    sl_merged merged = { 0 };
    const char *shadow = sl_sql(&tmp, "%I.%I", j->main->spec->state_schema, j->shadow);
    if (sl_run_connect(&j->run, SL_DESTINATION, "resync merge", SL_CONNECT_REPLICA_ROLE,
                       &destination, err) != SL_OK)
        return err->code;
    set_merging(j->resync, destination);
    sl_rc rc = sl_pg_exec(destination, "BEGIN; SET LOCAL work_mem = '128MB'", err);
    if (rc == SL_OK)
        rc = fence(j, destination, err);
    if (rc == SL_OK)
        rc = sl_merge_rows(j->table->route, shadow, destination, &merged, err);
    if (rc == SL_OK)
        rc = sl_pg_exec(destination, "COMMIT", err);
    set_merging(j->resync, NULL);
    if (rc == SL_OK)
        sl_event(j->main, "resync.merged", "{s:s, s:I, s:I, s:I}", "table", j->label, "deleted",
                 (json_int_t)merged.deleted, "updated", (json_int_t)merged.updated, "inserted",
                 (json_int_t)merged.inserted);
    return rc;
}

/* ---- 6: the main stream takes the table back ---- */

static sl_rc hand_back(job *j, sl_error *err)
{
    sl_lsn at;
    sl_checkpoint cp;
    int64_t since = sl_mono_us();
    if (!sl_gate_close(j->main->gate, &at, j->run.stop))
        return sl_fail(err, SL_CANCELLED, "stopped");
    int64_t stood = sl_mono_us();
    sl_rc rc = stream_to(j, at, err);
    if (rc == SL_OK)
        rc = sl_checkpoint_read(&j->run, j->keeper, &cp, err);
    if (rc == SL_OK) {
        j->table->snapshot_lsn = cp.applied_end_lsn > at ? cp.applied_end_lsn : at;
        rc = sl_state_set_table(j->main, j->keeper, j->table, SL_TABLE_SYNCHRONIZING, NULL, err);
        if (rc != SL_OK)
            j->table->snapshot_lsn = SL_LSN_RESYNC;
    }
    sl_gate_open(j->main->gate);
    if (rc == SL_OK)
        rc = sl_state_clear_request(j->main, j->keeper, j->table, err);
    if (rc == SL_OK)
        sl_event(j->main, "resync.done", "{s:s, s:f, s:f}", "table", j->label, "waited_seconds",
                 (double)(stood - since) / 1e6, "gate_seconds",
                 (double)(sl_mono_us() - stood) / 1e6);
    return rc;
}

/* ---- all of it ---- */

static sl_rc do_steps(job *j, sl_error *err)
{
    sl_lsn at = 0;
    sl_rc rc = open_job(j, err);
    if (rc == SL_OK)
        rc = copy(j, err);
    if (rc == SL_OK)
        rc = follow(j, err);
    if (rc == SL_OK)
        rc = let_go(j, &at, err);
    if (rc == SL_OK)
        rc = stream_to(j, at, err);
    if (rc == SL_OK)
        rc = merge(j, err);
    if (rc == SL_OK) {
        j->route.dst_schema = j->table->route->dst_schema;
        j->route.dst_table = j->table->route->dst_table;
        rc = follow(j, err);
    }
    return rc == SL_OK ? hand_back(j, err) : rc;
}

/* It will not work by itself: the request goes, and a table whose rows are behind is set aside. */
static void give_up(job *j, const sl_error *why)
{
    sl_error err = SL_ERROR_INIT;
    bool frozen = j->table->snapshot_lsn == SL_LSN_RESYNC;
    sl_table_state state = frozen ? SL_TABLE_SET_ASIDE : j->table->state;
    if (!j->keeper || sl_state_clear_request(j->main, j->keeper, j->table, &err) != SL_OK ||
        sl_state_set_table(j->main, j->keeper, j->table, state, why->message, &err) != SL_OK)
        sl_warn("the failed resync of table %s could not be recorded", j->label);
}

static sl_rc resync_table(sl_resync *r, sl_table *table)
{
    sl_error err = SL_ERROR_INIT;
    job j = { .resync = r, .main = r->run, .table = table };
    set_up_run(&j);
    sl_event(r->run, "resync.started", "{s:s}", "table", j.label);
    sl_rc rc = do_steps(&j, &err);
    if (rc == SL_FAILED)
        give_up(&j, &err);
    if (rc != SL_OK && rc != SL_CANCELLED) {
        sl_while(&err, "resynchronizing table %s", j.label);
        sl_event(r->run, "resync.failed", "{s:s, s:s, s:b}", "table", j.label, "error", err.message,
                 "again", rc == SL_TRANSIENT);
        sl_log_error(&err, "resync");
    }
    close_job(&j, rc == SL_OK || rc == SL_FAILED);
    return rc;
}

/* Waits for a notification, or until it is time to look without one. */
static sl_rc wait_to_be_told(sl_resync *r, sl_pg *pg, sl_error *err)
{
    PGnotify *told = PQnotifies(pg->conn); /* it may have come with an answer */
    if (!told && sl_wait_fd(PQsocket(pg->conn), POLLIN, LOOK_EVERY_MS, &r->stop) > 0 &&
        !PQconsumeInput(pg->conn))
        return sl_pg_fail(pg, NULL, err);
    for (; told || (told = PQnotifies(pg->conn)); told = NULL)
        PQfreemem(told);
    return SL_OK;
}

static sl_rc listen_on(sl_resync *r, sl_pg *pg, sl_error *err)
{
    SL_SCRATCH(tmp);
    return sl_pg_exec(pg, sl_sql(&tmp, "LISTEN %I", r->run->slot), err);
}

/* A copy by the old routes would leave the new columns out: the next attempt has new ones. */
static void restart_with_new_routes(sl_resync *r)
{
    sl_lsn at;
    r->run->routes_stale = true;
    if (sl_gate_close(r->run->gate, &at, &r->stop)) /* the stream looks up */
        sl_gate_open(r->run->gate);
    sl_sleep_ms(RETRY_MS, &r->stop);
}

/* Between two transactions; a stop before that leaves the request to the next start. */
static sl_rc set_aside(sl_resync *r, sl_pg *pg, sl_table *table, sl_error *err)
{
    sl_lsn at;
    if (!sl_gate_close(r->run->gate, &at, &r->stop))
        return SL_OK;
    sl_rc rc = sl_state_set_table(r->run, pg, table, SL_TABLE_SET_ASIDE, SL_ASIDE_BY_REQUEST, err);
    sl_gate_open(r->run->gate);
    return rc == SL_OK ? sl_state_clear_request(r->run, pg, table, err) : rc;
}

/* To the stop, or the loss of the session. */
static sl_rc serve_requests(sl_resync *r, sl_pg *pg, sl_error *err)
{
    sl_rc rc = SL_OK;
    while (rc == SL_OK && !sl_stopping(&r->stop)) {
        sl_table *table = NULL;
        sl_request_kind kind;
        rc = sl_state_next_request(r->run, pg, &table, &kind, err);
        r->busy = rc == SL_OK && table != NULL;
        if (rc == SL_OK && !table)
            rc = wait_to_be_told(r, pg, err);
        else if (rc == SL_OK && kind == SL_REQUEST_SET_ASIDE)
            rc = set_aside(r, pg, table, err);
        else if (rc == SL_OK && table->columns_changed)
            restart_with_new_routes(r);
        else if (rc == SL_OK && resync_table(r, table) != SL_OK)
            sl_sleep_ms(RETRY_MS, &r->stop);
    }
    return rc;
}

/* A worker may have been killed after it had handed a table back and before it had cleaned up: a
 * slot would hold the source's WAL for ever. What is begun anew below removes its own. */
static void remove_left_overs(sl_resync *r)
{
    SL_PG(source);
    SL_SCRATCH(tmp);
    char *any = NULL;
    sl_error err = SL_ERROR_INIT;
    const char *sql = sl_sql(&tmp, "SELECT EXISTS (SELECT 1 FROM %I.task WHERE task_id LIKE %L)",
                             r->run->spec->state_schema, children_of(r->run, &tmp));
    if (sl_pg_value(r->keeper, sql, &tmp, &any, &err) != SL_OK || !any || any[0] != 't')
        return;
    if (sl_run_connect(r->run, SL_SOURCE, "resync session", 0, &source, &err) != SL_OK ||
        sl_resync_remove_all(r->run, source, r->keeper, &err) != SL_OK)
        sl_log_error(&err, "what a resync left behind could not be removed");
}

static void *watch(void *arg)
{
    sl_resync *r = arg;
    SL_PG(own);
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = listen_on(r, r->keeper, &err);
    remove_left_overs(r);
    while (!sl_stopping(&r->stop)) {
        if (rc == SL_OK && own == NULL)
            rc = serve_requests(r, r->keeper, &err);
        else if (rc == SL_OK)
            rc = serve_requests(r, own, &err);
        if (sl_stopping(&r->stop))
            break;
        /* The session is lost; the stream may well go on. */
        sl_pg_closep(&own);
        sl_error_clear(&err);
        sl_sleep_ms(RETRY_MS, &r->stop);
        rc = sl_run_connect(r->run, SL_DESTINATION, "resync watcher", 0, &own, &err);
        if (rc == SL_OK)
            rc = listen_on(r, own, &err);
    }
    return NULL;
}

sl_resync *sl_resync_start(sl_run *run, sl_pg *keeper)
{
    sl_resync *r = sl_xcalloc(1, sizeof(*r));
    r->run = run;
    r->keeper = keeper;
    pthread_mutex_init(&r->lock, NULL);
    if (sl_stop_init(&r->stop) && pthread_create(&r->thread, NULL, watch, r) == 0)
        return r;
    sl_stop_free(&r->stop);
    free(r);
    sl_warn("no thread for resyncs: `pgsluice resync` has to wait for the next run");
    return NULL;
}

bool sl_resync_busy(const sl_resync *r)
{
    return r && r->busy;
}

void sl_resync_stop(sl_resync *r)
{
    if (!r)
        return;
    sl_stop_request(&r->stop, SL_STOP_DONE);
    while (pthread_tryjoin_np(r->thread, NULL) != 0) {
        pthread_mutex_lock(&r->lock);
        if (r->merging)
            sl_pg_cancel(r->merging);
        pthread_mutex_unlock(&r->lock);
        sl_sleep_ms(50, NULL);
    }
    sl_stop_free(&r->stop);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

sl_rc sl_resync_remove_all(const sl_run *run, sl_pg *source, sl_pg *destination, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    if (sl_pg_query(destination,
                    sl_sql(&tmp, "SELECT task_id FROM %I.task WHERE task_id LIKE %L",
                           run->spec->state_schema, children_of(run, &tmp)),
                    &res, err) != SL_OK)
        return sl_while(err, "looking for interrupted resyncs");
    for (int i = 0; i < PQntuples(res); i++) {
        sl_run child = { .spec = run->spec, .stop = run->stop };
        snprintf(child.id, sizeof(child.id), "%s", PQgetvalue(res, i, 0));
        snprintf(child.slot, sizeof(child.slot), "pgsluice_%s", child.id);
        if (drop_left_over(&child, sl_arena_printf(&tmp, "shadow_%s", child.id), source,
                           destination, err) != SL_OK)
            return err->code;
    }
    return SL_OK;
}
