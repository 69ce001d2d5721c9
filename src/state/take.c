/* take.c: one worker per task: the lease, the epoch, and the end of predecessors.
 *
 * The lease is an advisory lock of an idle session: the server frees it as soon as it sees the
 * worker's end of the socket closed. It keeps two living workers apart. The epoch keeps a dead
 * one's late COMMIT away from our state, and is what correctness rests on. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "state/internal.h"

#define LEASE_WAIT_MS 10000

static int64_t lease_key(const sl_run *run)
{
    SL_SCRATCH(tmp);
    const char *text = sl_arena_printf(&tmp, "%s/%s", run->spec->state_schema, run->id);
    return (int64_t)sl_hash64(text, strlen(text), 2);
}

/* The kernel's start time of a process, in clock ticks since boot: tells a reused pid. "" if gone.
 */
static void process_start(int pid, char *out, size_t size)
{
    char path[64], line[1024];
    out[0] = '\0';
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    char *p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
    fclose(f);
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    if (p)
        snprintf(out, size, "%.*s", (int)strcspn(p + 1, " \n"), p + 1);
}

/* "host pid start" of this process. */
static const char *self(sl_arena *arena)
{
    char host[256] = "", start[32];
    gethostname(host, sizeof(host) - 1);
    process_start((int)getpid(), start, sizeof(start));
    return sl_arena_printf(arena, "%s %d %s", host, (int)getpid(), start);
}

/* Was this worker on our machine, and is it dead? Then nobody needs to be asked. */
static bool known_dead(const char *worker)
{
    char host[256] = "", there[256], start[32], start_now[32];
    int pid;
    gethostname(host, sizeof(host) - 1);
    if (sscanf(worker, "%255s %d %31s", there, &pid, start) != 3 || strcmp(host, there) != 0)
        return false;
    process_start(pid, start_now, sizeof(start_now));
    return strcmp(start, start_now) != 0;
}

static sl_rc try_lease(sl_run *run, sl_pg *keeper, bool *got, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    if (sl_pg_query(keeper,
                    sl_sql(&tmp, "SELECT pg_catalog.pg_try_advisory_lock(%lld)",
                           (long long)lease_key(run)),
                    &res, err) != SL_OK)
        return sl_while(err, "taking task %s", run->id);
    *got = sl_cell_bool(res, 0, 0);
    return SL_OK;
}

/* Ends the session that holds the lease; not being allowed to is told. */
static sl_rc end_holder(sl_run *run, sl_pg *keeper, sl_error *err)
{
    SL_SCRATCH(tmp);
    int64_t key = lease_key(run);
    return sl_pg_exec(keeper,
                      sl_sql(&tmp,
                             "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_locks"
                             " WHERE locktype = 'advisory' AND granted AND objsubid = 1"
                             " AND classid = %u AND objid = %u AND database = (SELECT oid FROM"
                             " pg_catalog.pg_database WHERE datname ="
                             " pg_catalog.current_database())",
                             (unsigned)((uint64_t)key >> 32), (unsigned)key),
                      err);
}

static sl_rc refuse(sl_run *run, const char *worker, const char *since, sl_error *err)
{
    sl_fail(err, SL_FAILED, "task %s is being run by process %s since %s", run->id,
            worker ? worker : "(unknown)", since ? since : "(unknown)");
    return sl_hint(err, "Stop that one first, or use --takeover to end it and go on here.");
}

static sl_rc get_lease(sl_run *run, sl_pg *keeper, bool takeover, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    int64_t deadline = sl_mono_us() + LEASE_WAIT_MS * 1000;
    bool got, ended = false;
    for (;;) {
        if (try_lease(run, keeper, &got, err) != SL_OK || got)
            return err->code;
        if (sl_pg_query(keeper,
                        sl_sql(&tmp,
                               "SELECT worker, pg_catalog.to_char(worker_since AT TIME ZONE"
                               " 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"') FROM %I.task WHERE"
                               " task_id = %L",
                               run->spec->state_schema, run->id),
                        &res, err) != SL_OK)
            return err->code;
        const char *worker = PQntuples(res) ? sl_cell(res, 0, 0) : NULL;
        const char *since = worker ? sl_cell(res, 0, 1) : NULL;
        /* Our own earlier session, which the server has not given up yet, is a dead one too. */
        bool dead = worker && (known_dead(worker) || strcmp(worker, self(&tmp)) == 0);
        if ((takeover || dead) && !ended) {
            sl_info("task %s: ending the session of %s worker %s", run->id,
                    dead ? "the dead" : "the other", worker ? worker : "");
            if (end_holder(run, keeper, err) != SL_OK)
                return sl_while(err, "ending the worker that holds task %s", run->id);
            ended = true;
        }
        char host[256] = "";
        gethostname(host, sizeof(host) - 1);
        bool here = worker && strncmp(worker, host, strlen(host)) == 0;
        if (sl_mono_us() >= deadline || (here && !dead && !takeover))
            return refuse(run, worker, since, err);
        if (!sl_sleep_ms(200, run->stop))
            return sl_fail(err, SL_CANCELLED, "stopped while waiting for the task's lease");
    }
}

static sl_rc insert_task(sl_run *run, sl_pg *keeper, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *schema = run->spec->state_schema;
    return sl_pg_exec(keeper,
                      sl_sql(&tmp,
                             "INSERT INTO %I.task (task_id, epoch, name, source_system_id,"
                             " source_database) SELECT %L, %lld, %L, %L, %L WHERE NOT EXISTS"
                             " (SELECT 1 FROM %I.task WHERE task_id = %L)",
                             schema, run->id, (long long)run->epoch_base,
                             run->spec->name ? run->spec->name : run->id, run->source.system_id,
                             run->source.database, schema, run->id),
                      err);
}

static sl_rc read_meter(sl_run *run, sl_pg *keeper, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const char *schema = run->spec->state_schema;
    sl_progress *p = &run->progress;
    if (sl_pg_exec(keeper,
                   sl_sql(&tmp,
                          "INSERT INTO %I.meter (task_id, series) SELECT %L, %lld WHERE NOT EXISTS"
                          " (SELECT 1 FROM %I.meter WHERE task_id = %L)",
                          schema, run->id, (long long)sl_now_us(), schema, run->id),
                   err) != SL_OK ||
        sl_pg_query(keeper,
                    sl_sql(&tmp,
                           "SELECT m.series, m.row_count + COALESCE(c.row_count, 0), m.byte_count +"
                           " COALESCE(c.byte_count, 0) FROM %I.meter m LEFT JOIN %I.checkpoint c ON"
                           " c.task_id = m.task_id WHERE m.task_id = %L",
                           schema, schema, run->id),
                    &res, err) != SL_OK)
        return sl_while(err, "reading what was metered");
    p->metered_rows = sl_cell_int(res, 0, 1);
    p->metered_bytes = sl_cell_int(res, 0, 2);
    p->metered_series = sl_cell_int(res, 0, 0);
    return SL_OK;
}

json_t *sl_state_metered(const sl_run *run)
{
    const sl_progress *p = &run->progress;
    if (p->metered_series == 0)
        return NULL;
    return json_pack("{s:o, s:I, s:I}", "series",
                     json_sprintf("%lld", (long long)p->metered_series), "rows",
                     (json_int_t)p->metered_rows, "bytes", (json_int_t)p->metered_bytes);
}

void sl_state_note_metered(sl_run *run, const sl_table *table)
{
    run->progress.metered_rows += table->rows;
    run->progress.metered_bytes += table->bytes;
}

/* Waits for a data transaction of a predecessor that is about to end, by the rows' locks. */
static sl_rc raise_epoch(sl_run *run, sl_pg *keeper, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const char *schema = run->spec->state_schema;
    sl_rc rc = sl_pg_query(
        keeper,
        sl_sql(&tmp,
               "BEGIN; SET LOCAL synchronous_commit = on;"
               "UPDATE %I.checkpoint SET epoch = 1 + (SELECT epoch FROM %I.task WHERE task_id = %L)"
               " WHERE task_id = %L;"
               "UPDATE %I.task SET epoch = epoch + 1, worker = %L, name = %L,"
               " worker_since = pg_catalog.now() WHERE task_id = %L;"
               "COMMIT;"
               "SELECT epoch FROM %I.task WHERE task_id = %L",
               schema, schema, run->id, run->id, schema, self(&tmp),
               run->spec->name ? run->spec->name : run->id, run->id, schema, run->id),
        &res, err);
    if (rc != SL_OK)
        return sl_while(err, "raising the epoch of task %s", run->id);
    run->epoch = sl_cell_int(res, 0, 0);
    snprintf(run->application, sizeof(run->application), "pgsluice/%s/%lld", run->id,
             (long long)run->epoch);
    return sl_pg_exec(keeper, sl_sql(&tmp, "SET application_name = %L", run->application), err);
}

sl_rc sl_state_take(sl_run *run, sl_pg *keeper, bool takeover, sl_error *err)
{
    sl_rc rc = insert_task(run, keeper, err);
    if (rc == SL_OK)
        rc = get_lease(run, keeper, takeover, err);
    if (rc == SL_OK) {
        sl_state_end_predecessors(run, keeper);
        rc = raise_epoch(run, keeper, err);
    }
    if (rc == SL_OK) /* behind the epoch: nobody else's counts any more */
        rc = read_meter(run, keeper, err);
    return rc;
}

void sl_state_end_predecessors(sl_run *run, sl_pg *pg)
{
    SL_SCRATCH(tmp);
    sl_error ignored = SL_ERROR_INIT;
    sl_pg_exec(pg,
               sl_sql(&tmp,
                      "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"
                      " WHERE application_name LIKE %L AND application_name <> %L AND usename ="
                      " current_user AND pid <> pg_catalog.pg_backend_pid()",
                      sl_arena_printf(&tmp, "pgsluice/%s/%%", run->id), run->application),
               &ignored);
}

sl_rc sl_state_fenced(sl_run *run, sl_error *err)
{
    sl_fail(err, SL_FENCED, "task %s has been taken over by another worker", run->id);
    return sl_hint(err, "Nothing was lost: the other worker goes on where this one was.");
}

sl_rc sl_state_check_epoch(sl_run *run, sl_pg *destination, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    if (sl_pg_query(destination,
                    sl_sql(&tmp, "SELECT epoch FROM %I.task WHERE task_id = %L",
                           run->spec->state_schema, run->id),
                    &res, err) != SL_OK)
        return err->code;
    if (PQntuples(res) == 0 || sl_cell_int(res, 0, 0) != run->epoch)
        return sl_state_fenced(run, err);
    return SL_OK;
}

sl_rc sl_state_fenced_exec(sl_run *run, sl_pg *destination, const char *sql, int n,
                           const char *const *values, const char *what, sl_error *err)
{
    SL_RESULT(res);
    if (sl_pg_query_params(destination, sql, n, values, &res, err) != SL_OK)
        return sl_while(err, "%s", what);
    return atoi(PQcmdTuples(res)) == 0 ? sl_state_fenced(run, err) : SL_OK;
}
