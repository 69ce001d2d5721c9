/* slot.c: the task's replication slot, and snapshots that the copy reads under.
 *
 * Creating a slot waits for every transaction that runs at that moment, prepared ones included,
 * however long they take: a second thread tells who they are meanwhile. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "copy/internal.h"
#include "pg/replication.h"

#define REPORT_AFTER_MS 3000
#define REPORT_EVERY_MS 10000
#define SNAPSHOT_TRIES 10
#define DROP_WAIT_MS 10000

/* -- who keeps the slot from being made ---------------------------------------------------------
 */

typedef struct watcher {
    sl_run *run;
    sl_pg *source; /* this thread's while it lives */
    int waiting_pid;
    sl_stop done;
    pthread_t thread;
} watcher;

/* A pid of 0 among the blockers is a prepared transaction. */
static void report_blockers(watcher *w)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    sl_error ignored = SL_ERROR_INIT;
    const char *sql = sl_sql(
        &tmp,
        "SELECT b.pid, COALESCE(a.usename, ''), COALESCE(a.application_name, ''),"
        " COALESCE(a.state, 'prepared transaction'), pg_catalog.date_part('epoch',"
        " pg_catalog.clock_timestamp() - COALESCE(a.xact_start, (SELECT pg_catalog.min(prepared)"
        " FROM pg_catalog.pg_prepared_xacts)))::pg_catalog.int8, (SELECT pg_catalog.min(gid) FROM"
        " pg_catalog.pg_prepared_xacts WHERE b.pid = 0)"
        " FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids(%d)) b(pid)"
        " LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid",
        w->waiting_pid);
    if (sl_pg_query(w->source, sql, &res, &ignored) != SL_OK)
        return;
    for (int i = 0; i < PQntuples(res); i++) {
        const char *prepared = sl_cell(res, i, 5);
        const char *message =
            prepared
                ? sl_arena_printf(&tmp, "the slot waits for prepared transaction %s", prepared)
                : sl_arena_printf(&tmp,
                                  "the slot waits for session %s (user %s, %s), in a transaction "
                                  "since %s s: it can be made when that ends",
                                  sl_cell(res, i, 0), sl_cell(res, i, 1), sl_cell(res, i, 3),
                                  sl_cell(res, i, 4) ? sl_cell(res, i, 4) : "?");
        sl_event(w->run, "slot.waiting", "{s:I, s:s, s:s, s:s, s:I, s:s*, s:s}", "pid",
                 (json_int_t)sl_cell_int(res, i, 0), "user", sl_cell(res, i, 1), "application",
                 sl_cell(res, i, 2), "state", sl_cell(res, i, 3), "seconds",
                 (json_int_t)sl_cell_int(res, i, 4), "prepared", prepared, "message", message);
    }
}

static void *watch(void *arg)
{
    watcher *w = arg;
    for (int64_t ms = REPORT_AFTER_MS; sl_sleep_ms(ms, &w->done); ms = REPORT_EVERY_MS)
        report_blockers(w);
    return NULL;
}

/* -- making -------------------------------------------------------------------------------------
 */

static bool try_again(sl_run *run, int attempt, sl_error *why)
{
    /* More running subtransactions than a snapshot holds: a matter of the moment. */
    if (attempt >= SNAPSHOT_TRIES || !strstr(why->message, "initial slot snapshot too large"))
        return false;
    sl_event(run, "slot.retried", "{s:s}", "message", why->message);
    return sl_sleep_ms(1000, run->stop);
}

/* *system is asked for first: the snapshot dies with the holder's next command. */
static sl_rc create(sl_run *run, sl_pg *source, const char *slot, bool temporary,
                    sl_snapshot *snapshot, sl_system *system, sl_error *err)
{
    sl_slot_made made;
    if (sl_run_choose_plugin(run, source, err) != SL_OK)
        return err->code;
    if (sl_run_connect(run, SL_SOURCE, "slot and snapshot", SL_CONNECT_REPLICATION,
                       &snapshot->holder, err) != SL_OK)
        return err->code;
    if (sl_repl_identify(snapshot->holder, system, err) != SL_OK) {
        sl_snapshot_release(snapshot);
        return err->code;
    }
    const char *plugin = run->plugin.plugin->library;
    watcher w = { .run = run, .source = source, .waiting_pid = snapshot->holder->pid };
    bool watched = source && source->version >= SL_PG_9_6 && sl_stop_init(&w.done);
    if (watched && pthread_create(&w.thread, NULL, watch, &w) != 0)
        abort();
    sl_error why = SL_ERROR_INIT;
    sl_rc rc;
    int attempt = 0;
    do {
        sl_error_clear(&why);
        rc = sl_repl_create_slot(snapshot->holder, slot, plugin, temporary, &made, run->stop, &why);
    } while (rc != SL_OK && try_again(run, ++attempt, &why));
    if (watched) {
        sl_stop_request(&w.done, SL_STOP_DONE);
        pthread_join(w.thread, NULL);
        sl_stop_free(&w.done);
    }
    if (rc != SL_OK) {
        if (err->code == SL_OK)
            *err = why;
        sl_snapshot_release(snapshot);
        return rc;
    }
    if (temporary && snapshot->holder->version < SL_PG_10)
        snprintf(snapshot->slot, sizeof(snapshot->slot), "%s", slot);
    snapshot->lsn = made.consistent_point;
    snprintf(snapshot->name, sizeof(snapshot->name), "%s", made.snapshot);
    return SL_OK;
}

static sl_rc first_checkpoint(sl_run *run, sl_pg *destination, const sl_snapshot *snapshot,
                              const sl_system *system, sl_error *err)
{
    sl_checkpoint cp = {
        .exists = true,
        .applied_end_lsn = snapshot->lsn,
        .acked_lsn = snapshot->lsn,
        .consistent_point = snapshot->lsn,
        .timeline = system->timeline,
    };
    snprintf(cp.system_id, sizeof(cp.system_id), "%s", system->system_id);
    snprintf(cp.slot, sizeof(cp.slot), "%s", run->slot);
    return sl_checkpoint_insert(run, destination, &cp, err);
}

static sl_rc shake_hands(const sl_run *run, sl_pg *source, sl_error *err)
{
    const sl_plugin *plugin = run->plugin.plugin;
    if (sl_plugin_shake_hands(source, plugin, run->slot, err) == SL_OK)
        return SL_OK;
    sl_hint(err,
            "Install the pgsluice_decoding of this pgsluice's version on the source, or choose "
            "another decoder with the specification's key `decoder`.");
    return sl_while(err, "asking the output plugin %s for its version", plugin->library);
}

sl_rc sl_snapshot_with_slot(sl_run *run, sl_pg *source, sl_pg *destination, sl_snapshot *snapshot,
                            sl_error *err)
{
    *snapshot = (sl_snapshot){ 0 };
    /* A slot without a checkpoint is a crash's: nothing was ever read from it. */
    if (sl_slot_drop(run, source, err) != SL_OK)
        return err->code;
    sl_system system;
    if (create(run, source, run->slot, false, snapshot, &system, err) != SL_OK)
        return err->code;
    /* Before anything is copied, for the stream comes after it. */
    sl_rc rc = shake_hands(run, source, err);
    if (rc == SL_OK)
        rc = first_checkpoint(run, destination, snapshot, &system, err);
    if (rc == SL_OK) {
        char lsn[24];
        sl_event(run, "slot.created", "{s:s, s:s}", "slot", run->slot, "lsn",
                 sl_lsn_text(snapshot->lsn, lsn));
        return SL_OK;
    }
    sl_error ignored = SL_ERROR_INIT;
    sl_snapshot_release(snapshot);
    sl_slot_drop(run, source, &ignored);
    return rc;
}

/* Without a stream to follow a plain snapshot does. */
static sl_rc plain(sl_run *run, sl_snapshot *snapshot, sl_error *err)
{
    SL_SCRATCH(tmp);
    char *name;
    if (sl_run_connect(run, SL_SOURCE, "snapshot", 0, &snapshot->holder, err) != SL_OK)
        return err->code;
    sl_rc rc = sl_pg_exec(snapshot->holder, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err);
    if (rc == SL_OK)
        rc = sl_pg_value(snapshot->holder, "SELECT pg_catalog.pg_export_snapshot()", &tmp, &name,
                         err);
    if (rc != SL_OK) {
        sl_snapshot_release(snapshot);
        return sl_while(err, "taking a snapshot of the source");
    }
    snprintf(snapshot->name, sizeof(snapshot->name), "%s", name);
    return SL_OK;
}

sl_rc sl_snapshot_temporary(sl_run *run, sl_snapshot *snapshot, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_PG(source);
    static _Atomic int number;
    *snapshot = (sl_snapshot){ 0 };
    if (!(run->spec->stages & SL_STAGE_INCREMENTAL))
        return plain(run, snapshot, err);
    /* A predecessor's of the same name may live on until the server notices that it is gone. (Below
     * 10 it is a lasting one, which sl_snapshot_release drops, or the next start of the task.) */
    const char *slot =
        sl_arena_printf(&tmp, "%s_t%lld_%d", run->slot, (long long)run->epoch, ++number);
    if (sl_run_connect(run, SL_SOURCE, "slot watcher", 0, &source, err) != SL_OK)
        return err->code;
    sl_system system;
    return create(run, source, slot, true, snapshot, &system, err);
}

void sl_snapshot_release(sl_snapshot *snapshot)
{
    sl_error ignored = SL_ERROR_INIT;
    SL_SCRATCH(tmp);
    if (snapshot->slot[0] && snapshot->holder)
        sl_pg_exec(snapshot->holder, sl_sql(&tmp, "DROP_REPLICATION_SLOT %I", snapshot->slot),
                   &ignored);
    snapshot->slot[0] = '\0';
    sl_pg_close(snapshot->holder);
    snapshot->holder = NULL;
    snapshot->name[0] = '\0';
}

/* -- dropping -----------------------------------------------------------------------------------
 */

/* The slot's user, if it is in use: a predecessor of ours that the server has not given up. */
static sl_rc end_user(sl_pg *source, const char *slot, bool *exists, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    if (sl_pg_query(source,
                    sl_sql(&tmp,
                           source->version >= SL_PG_9_5
                               ? "SELECT active_pid, CASE WHEN active_pid IS NOT NULL THEN"
                                 " pg_catalog.pg_terminate_backend(active_pid) END"
                                 " FROM pg_catalog.pg_replication_slots WHERE slot_name = %L"
                               : "SELECT active FROM pg_catalog.pg_replication_slots"
                                 " WHERE slot_name = %L", /* it ends with our session */
                           slot),
                    &res, err) != SL_OK)
        return err->code;
    *exists = PQntuples(res) > 0;
    return SL_OK;
}

sl_rc sl_slot_drop_temporary(const sl_run *run, sl_pg *source, sl_error *err)
{
    SL_SCRATCH(tmp);
    if (source->version >= SL_PG_10)
        return SL_OK;
    if (sl_pg_exec(source,
                   sl_sql(&tmp,
                          "SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM"
                          " pg_catalog.pg_replication_slots WHERE slot_name LIKE %L AND NOT active",
                          sl_arena_printf(&tmp, "%s\\_t%%", run->slot)),
                   err) != SL_OK)
        return sl_while(err, "dropping what is left of snapshots of task %s", run->id);
    return SL_OK;
}

sl_rc sl_slot_drop(const sl_run *run, sl_pg *source, sl_error *err)
{
    SL_SCRATCH(tmp);
    if (sl_slot_drop_temporary(run, source, err) != SL_OK)
        return err->code;
    int64_t deadline = sl_mono_us() + DROP_WAIT_MS * 1000;
    for (;;) {
        bool exists = false;
        if (end_user(source, run->slot, &exists, err) != SL_OK)
            return sl_while(err, "looking for replication slot %s", run->slot);
        if (!exists)
            return SL_OK;
        sl_error why = SL_ERROR_INIT;
        if (sl_pg_exec(source,
                       sl_sql(&tmp, "SELECT pg_catalog.pg_drop_replication_slot(%L)", run->slot),
                       &why) == SL_OK ||
            strcmp(why.sqlstate, "42704") == 0)
            return SL_OK;
        if (strcmp(why.sqlstate, "55006") != 0 || sl_mono_us() > deadline) {
            *err = why;
            return sl_while(err, "dropping replication slot %s", run->slot);
        }
        if (!sl_sleep_ms(100, run->stop))
            return sl_fail(err, SL_CANCELLED, "stopped while dropping slot %s", run->slot);
    }
}
