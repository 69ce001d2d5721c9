/* create.c: the state schema: its tables, its version, its removal. */
#include <stdlib.h>
#include <string.h>

#include "state/internal.h"

#define CONFLICT_DDL                                                                               \
    "CREATE TABLE %I.conflict (task_id text, schema_name text, table_name text, kind text,"        \
    " count bigint NOT NULL, last_at timestamptz NOT NULL DEFAULT pg_catalog.now(),"               \
    " PRIMARY KEY (task_id, schema_name, table_name, kind))"

/* What was copied; what was streamed is in the checkpoint, which every transaction updates anyway.
 * series tells one beginning of a task from a later one. */
#define METER_DDL                                                                                  \
    "CREATE TABLE %I.meter (task_id text PRIMARY KEY, series bigint NOT NULL,"                     \
    " row_count bigint NOT NULL DEFAULT 0, byte_count bigint NOT NULL DEFAULT 0)"

/* %I is the state schema in each. fillfactor leaves room for HOT updates of rows written often. */
static const char *const ddl[] = {
    "CREATE TABLE %I.version (version integer PRIMARY KEY)",

    "CREATE TABLE %I.task (task_id text PRIMARY KEY, epoch bigint NOT NULL, name text NOT NULL,"
    " source_system_id text NOT NULL, source_database text NOT NULL, worker text,"
    " worker_since timestamptz, created_at timestamptz NOT NULL DEFAULT pg_catalog.now())",

    "CREATE TABLE %I.task_state (task_id text PRIMARY KEY, state text NOT NULL, reason text,"
    " updated_at timestamptz NOT NULL DEFAULT pg_catalog.now()) WITH (fillfactor = 20)",

    "CREATE TABLE %I.checkpoint (task_id text PRIMARY KEY, epoch bigint NOT NULL,"
    " applied_end_lsn pg_lsn NOT NULL, acked_lsn pg_lsn NOT NULL, consistent_point pg_lsn NOT NULL,"
    " applied_commit_us bigint NOT NULL, system_id text NOT NULL, timeline integer NOT NULL,"
    " slot text NOT NULL, row_count bigint NOT NULL DEFAULT 0,"
    " byte_count bigint NOT NULL DEFAULT 0) WITH (fillfactor = 10)",

    "CREATE TABLE %I.tables (task_id text, schema_name text, table_name text,"
    " dst_schema text NOT NULL, dst_table text NOT NULL, state text NOT NULL, snapshot_lsn pg_lsn,"
    " owned boolean NOT NULL, request text, generation integer NOT NULL DEFAULT 0,"
    " row_count bigint NOT NULL DEFAULT 0, byte_count bigint NOT NULL DEFAULT 0, reason text,"
    " ranges text, condition text, source_oid bigint, updated_at timestamptz NOT NULL DEFAULT "
    "pg_catalog.now(),"
    " PRIMARY KEY (task_id, schema_name, table_name))",

    "CREATE TABLE %I.part (task_id text, schema_name text, table_name text, generation integer,"
    " part integer, epoch bigint NOT NULL, row_count bigint, byte_count bigint, snapshot_lsn "
    "pg_lsn,"
    " started_at timestamptz NOT NULL DEFAULT pg_catalog.now(),"
    " PRIMARY KEY (task_id, schema_name, table_name, generation, part))",

    "CREATE TABLE %I.object (task_id text, kind text, identity text, result text NOT NULL,"
    " sqlstate text, detail text, recorded_at timestamptz NOT NULL DEFAULT pg_catalog.now(),"
    " PRIMARY KEY (task_id, kind, identity))",

    "CREATE TABLE %I.error (id bigserial PRIMARY KEY, task_id text NOT NULL, state text NOT NULL,"
    " commit_lsn pg_lsn NOT NULL, seq bigint NOT NULL, schema_name text, table_name text,"
    " operation text, conflict text, key text, row_data text, sqlstate text, message text,"
    " recorded_at timestamptz NOT NULL DEFAULT pg_catalog.now(), UNIQUE (task_id, commit_lsn, "
    "seq))",

    CONFLICT_DDL,

    METER_DDL,
};

/* From version n to n + 1. Workers of an older version that still run go on: they know nothing of
 * what is new. */
static const char *const upgrades[][4] = {
    [1] = { "ALTER TABLE %I.tables ADD COLUMN ranges text",
            "ALTER TABLE %I.part ADD COLUMN snapshot_lsn pg_lsn", CONFLICT_DDL, NULL },
    [2] = { "ALTER TABLE %I.checkpoint ADD COLUMN row_count bigint NOT NULL DEFAULT 0",
            "ALTER TABLE %I.checkpoint ADD COLUMN byte_count bigint NOT NULL DEFAULT 0", METER_DDL,
            NULL },
    [3] = { "ALTER TABLE %I.tables ADD COLUMN condition text", NULL },
    [4] = { "ALTER TABLE %I.tables ADD COLUMN source_oid bigint", NULL },
};

/* The first two are what fences lock: a transaction that is still under way is waited for before
 * anything else goes. */
static const char *const task_tables[] = { "checkpoint", "task",     "task_state",
                                           "meter",      "conflict", "error",
                                           "object",     "part",     "tables" };

sl_rc sl_state_exists(const char *state_schema, sl_pg *destination, bool *exists, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    *exists = false;
    if (sl_pg_query(destination,
                    sl_sql(&tmp,
                           "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
                           " ON n.oid = c.relnamespace WHERE n.nspname = %L AND c.relname ="
                           " 'version'",
                           state_schema),
                    &res, err) != SL_OK)
        return sl_while(err, "looking for schema %s in the destination", state_schema);
    *exists = PQntuples(res) > 0;
    return SL_OK;
}

static sl_rc read_version(const char *state_schema, sl_pg *destination, int *version, sl_error *err)
{
    SL_SCRATCH(tmp);
    char *text;
    if (sl_pg_value(destination, sl_sql(&tmp, "SELECT max(version) FROM %I.version", state_schema),
                    &tmp, &text, err) != SL_OK)
        return sl_while(err, "reading the version of schema %s in the destination", state_schema);
    *version = text ? atoi(text) : 0;
    return SL_OK;
}

/* An older version's tables get what is new, in one transaction; whoever comes second finds it
 * done. */
static sl_rc upgrade(const char *state_schema, sl_pg *destination, sl_error *err)
{
    SL_BUF(sql);
    SL_SCRATCH(tmp);
    sl_error ignored = SL_ERROR_INIT;
    int version = SL_STATE_VERSION;
    sl_rc rc = sl_pg_exec(destination,
                          sl_sql(&tmp, "BEGIN; LOCK TABLE %I.version IN ACCESS EXCLUSIVE MODE",
                                 state_schema),
                          err);
    if (rc == SL_OK)
        rc = read_version(state_schema, destination, &version, err);
    for (; version < SL_STATE_VERSION; version++)
        for (int i = 0; i < 4 && upgrades[version][i]; i++) {
            sl_sql_add(&sql, upgrades[version][i], state_schema);
            sl_buf_putc(&sql, ';');
        }
    sl_sql_add(&sql, "UPDATE %I.version SET version = %d; COMMIT", state_schema, SL_STATE_VERSION);
    if (rc == SL_OK)
        rc = sl_pg_exec(destination, sl_buf_str(&sql), err);
    if (rc == SL_OK)
        return SL_OK;
    sl_pg_exec(destination, "ROLLBACK", &ignored);
    return sl_while(err, "upgrading schema %s, in which the task's state is kept", state_schema);
}

static sl_rc check_version(const char *state_schema, sl_pg *destination, sl_error *err)
{
    int version = 0;
    if (read_version(state_schema, destination, &version, err) != SL_OK)
        return err->code;
    if (version < 1 || version > SL_STATE_VERSION) {
        sl_fail(err, SL_FAILED,
                "destination: schema %s has state version %d, this program knows %d", state_schema,
                version, SL_STATE_VERSION);
        return sl_hint(err, "Use the pgsluice that made it or a newer one, or another "
                            "state_schema.");
    }
    return version < SL_STATE_VERSION ? upgrade(state_schema, destination, err) : SL_OK;
}

static sl_rc create_all(const char *state_schema, sl_pg *destination, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_BUF(sql);
    SL_RESULT(res);
    sl_sql_add(&sql, "BEGIN; SELECT pg_catalog.pg_advisory_xact_lock(%lld);",
               (long long)sl_hash64(state_schema, strlen(state_schema), 1));
    if (sl_pg_exec(destination, sql.data, err) != SL_OK)
        return err->code;
    sl_buf_clear(&sql);
    bool exists;
    sl_rc rc = sl_state_exists(state_schema, destination, &exists, err);
    if (rc == SL_OK && !exists) {
        rc = sl_pg_query(destination,
                         sl_sql(&tmp, "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %L",
                                state_schema),
                         &res, err);
        if (rc == SL_OK && PQntuples(res) == 0)
            sl_sql_add(&sql, "CREATE SCHEMA %I;", state_schema);
        for (size_t i = 0; i < sizeof(ddl) / sizeof(ddl[0]); i++) {
            sl_sql_add(&sql, ddl[i], state_schema);
            sl_buf_putc(&sql, ';');
        }
        sl_sql_add(&sql, "INSERT INTO %I.version VALUES (%d)", state_schema, SL_STATE_VERSION);
        if (rc == SL_OK)
            rc = sl_pg_exec(destination, sql.data, err);
    }
    sl_error ignored = SL_ERROR_INIT;
    if (rc == SL_OK)
        rc = sl_pg_exec(destination, "COMMIT", err);
    else
        sl_pg_exec(destination, "ROLLBACK", &ignored);
    return rc;
}

sl_rc sl_state_create(const char *state_schema, sl_pg *destination, sl_error *err)
{
    bool exists;
    if (sl_state_exists(state_schema, destination, &exists, err) != SL_OK)
        return err->code;
    if (!exists && create_all(state_schema, destination, err) != SL_OK) {
        if (strcmp(err->sqlstate, "42501") == 0)
            sl_hint(err,
                    "Let the destination account create it: GRANT CREATE ON DATABASE … TO …, or "
                    "make a schema it owns and name it in `state_schema`.");
        return sl_while(err, "creating schema %s, in which the task's state is kept", state_schema);
    }
    return check_version(state_schema, destination, err);
}

sl_rc sl_state_remove(const char *state_schema, const char *task_id, sl_pg *destination,
                      sl_error *err)
{
    SL_BUF(sql);
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    bool exists;
    if (sl_state_exists(state_schema, destination, &exists, err) != SL_OK || !exists)
        return err->code;
    sl_buf_puts(&sql, "BEGIN;");
    for (size_t i = 0; i < sizeof(task_tables) / sizeof(task_tables[0]); i++)
        sl_sql_add(&sql, "DELETE FROM %I.%I WHERE task_id = %L;", state_schema, task_tables[i],
                   task_id);
    sl_buf_puts(&sql, "COMMIT");
    if (sl_pg_exec(destination, sql.data, err) != SL_OK ||
        sl_pg_query(destination, sl_sql(&tmp, "SELECT 1 FROM %I.task LIMIT 1", state_schema), &res,
                    err) != SL_OK)
        return sl_while(err, "removing the state of task %s", task_id);
    if (PQntuples(res) > 0)
        return SL_OK;
    /* The last task: our tables go; the schema too, if nothing of anybody else is in it. */
    sl_buf_clear(&sql);
    for (size_t i = 0; i < sizeof(task_tables) / sizeof(task_tables[0]); i++)
        sl_sql_add(&sql, "DROP TABLE IF EXISTS %I.%I;", state_schema, task_tables[i]);
    sl_sql_add(&sql, "DROP TABLE IF EXISTS %I.version", state_schema);
    if (sl_pg_exec(destination, sql.data, err) != SL_OK)
        return sl_while(err, "removing schema %s", state_schema);
    sl_error ignored = SL_ERROR_INIT;
    sl_pg_exec(destination, sl_sql(&tmp, "DROP SCHEMA %I", state_schema), &ignored);
    return SL_OK;
}
