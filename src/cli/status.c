/* status.c: `pgsluice status`: what the destination remembers, and how the slot stands. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static json_t *text_or_null(const char *s)
{
    return s ? json_string(s) : json_null();
}

/* The one row of the task, with its checkpoint. */
static sl_rc add_task(cli_task *t, json_t *out, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const char *s = t->spec->state_schema;
    if (sl_pg_query(t->destination,
                    sl_sql(&tmp,
                           "SELECT k.name, s.state, s.reason, k.worker, k.epoch, c.applied_end_lsn,"
                           " c.acked_lsn, c.slot, pg_catalog.to_char(s.updated_at AT TIME ZONE"
                           " 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
                           " (SELECT count(*) FROM %I.error e WHERE e.task_id = k.task_id AND"
                           " e.state IN ('stopped', 'set_aside')) FROM %I.task k LEFT JOIN"
                           " %I.task_state s USING (task_id) LEFT JOIN %I.checkpoint c USING"
                           " (task_id) WHERE k.task_id = %L",
                           s, s, s, s, t->run.id),
                    &res, err) != SL_OK)
        return sl_while(err, "reading the state of task %s", t->run.id);
    static const char *const keys[] = { "name",        "state",     "reason", "worker", NULL,
                                        "applied_lsn", "acked_lsn", "slot",   "since" };
    json_object_set_new(out, "task", json_string(t->run.id));
    for (int i = 0; i < 9; i++)
        if (keys[i])
            json_object_set_new(out, keys[i], text_or_null(sl_cell(res, 0, i)));
    json_object_set_new(out, "epoch", json_integer(sl_cell_int(res, 0, 4)));
    json_object_set_new(out, "errors", json_integer(sl_cell_int(res, 0, 9)));
    return SL_OK;
}

static sl_rc add_tables(cli_task *t, json_t *out, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    if (sl_pg_query(t->destination,
                    sl_sql(&tmp,
                           "SELECT schema_name, table_name, state, row_count, byte_count,"
                           " snapshot_lsn, reason FROM %I.tables WHERE task_id = %L ORDER BY 1, 2",
                           t->spec->state_schema, t->run.id),
                    &res, err) != SL_OK)
        return sl_while(err, "reading the tables' states");
    json_t *tables = json_array();
    for (int i = 0; i < PQntuples(res); i++)
        json_array_append_new(tables, json_pack("{s:s, s:s, s:s, s:I, s:I, s:s*, s:s*}", "schema",
                                                sl_cell(res, i, 0), "table", sl_cell(res, i, 1),
                                                "state", sl_cell(res, i, 2), "rows",
                                                (json_int_t)sl_cell_int(res, i, 3), "bytes",
                                                (json_int_t)sl_cell_int(res, i, 4), "snapshot_lsn",
                                                sl_cell(res, i, 5), "reason", sl_cell(res, i, 6)));
    json_object_set_new(out, "tables", tables);
    return SL_OK;
}

/* What did not come across in the schema stage. */
static sl_rc add_objects(cli_task *t, json_t *out, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    if (sl_pg_query(t->destination,
                    sl_sql(&tmp,
                           "SELECT kind, identity, result, sqlstate, detail FROM %I.object WHERE"
                           " task_id = %L AND result IN ('failed', 'unsupported') ORDER BY 3, 1, 2",
                           t->spec->state_schema, t->run.id),
                    &res, err) != SL_OK)
        return sl_while(err, "reading the objects' results");
    json_t *objects = json_array();
    for (int i = 0; i < PQntuples(res); i++)
        json_array_append_new(objects, json_pack("{s:s, s:s, s:s, s:s*, s:s*}", "kind",
                                                 sl_cell(res, i, 0), "object", sl_cell(res, i, 1),
                                                 "result", sl_cell(res, i, 2), "sqlstate",
                                                 sl_cell(res, i, 3), "detail", sl_cell(res, i, 4)));
    json_object_set_new(out, "not_synchronized", objects);
    return SL_OK;
}

static sl_rc add_slot(cli_task *t, json_t *out, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    json_t *slot = NULL;
    if (!t->source) {
        json_object_set_new(out, "source_error", json_string(t->source_error.message));
        return SL_OK;
    }
    if (sl_pg_query(t->source,
                    sl_sql(&tmp,
                           "SELECT s.active, s.confirmed,"
                           " (l.now OPERATOR(pg_catalog.-) s.restart_lsn)::bigint,"
                           " (l.now OPERATOR(pg_catalog.-) s.confirmed)::bigint, s.status"
                           " FROM (SELECT active, restart_lsn, %s AS confirmed, %s AS status FROM"
                           " pg_catalog.pg_replication_slots WHERE slot_name = %L) s,"
                           " (SELECT %s AS now) l",
                           t->source->version >= SL_PG_9_6 ? "confirmed_flush_lsn"
                                                           : "NULL::pg_catalog.pg_lsn",
                           t->source->version >= SL_PG_13 ? "wal_status" : "NULL", t->run.slot,
                           sl_position_sql(t->source->version)),
                    &res, err) != SL_OK)
        return sl_while(err, "reading slot %s", t->run.slot);
    if (PQntuples(res) > 0)
        slot = json_pack("{s:b, s:s*, s:I, s:I, s:s*}", "active", (int)sl_cell_bool(res, 0, 0),
                         "confirmed_flush_lsn", sl_cell(res, 0, 1), "wal_held_bytes",
                         (json_int_t)sl_cell_int(res, 0, 2), "behind_bytes",
                         (json_int_t)sl_cell_int(res, 0, 3), "wal_status", sl_cell(res, 0, 4));
    json_object_set_new(out, "source_slot", slot ? slot : json_null());
    return SL_OK;
}

/* Only where there were some; a state schema of an older version has none. */
static sl_rc add_conflicts(cli_task *t, json_t *out, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    sl_error why = SL_ERROR_INIT;
    json_t *conflicts = json_array();
    sl_rc rc = sl_pg_query(t->destination,
                           sl_sql(&tmp,
                                  "SELECT schema_name, table_name, kind, count, pg_catalog.to_char("
                                  "last_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
                                  " FROM %I.conflict WHERE task_id = %L ORDER BY 1, 2, 3",
                                  t->spec->state_schema, t->run.id),
                           &res, &why);
    for (int i = 0; rc == SL_OK && i < PQntuples(res); i++)
        json_array_append_new(conflicts,
                              json_pack("{s:s, s:s, s:s, s:I, s:s}", "schema", sl_cell(res, i, 0),
                                        "table", sl_cell(res, i, 1), "kind", sl_cell(res, i, 2),
                                        "count", (json_int_t)sl_cell_int(res, i, 3), "last",
                                        sl_cell(res, i, 4)));
    json_object_set_new(out, "conflicts", conflicts);
    if (rc == SL_OK || strcmp(why.sqlstate, "42P01") == 0)
        return SL_OK;
    *err = why;
    return sl_while(err, "reading the conflicts' counts");
}

static const char *get(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "-";
}

static void print_slot(const json_t *o)
{
    char a[32], b[32];
    const json_t *slot = json_object_get(o, "source_slot");
    if (json_is_object(slot))
        printf("slot     %s, %s, WAL held %s, source is %s ahead%s%s\n", get(o, "slot"),
               json_is_true(json_object_get(slot, "active")) ? "in use" : "not in use",
               cli_bytes(json_integer_value(json_object_get(slot, "wal_held_bytes")), a),
               cli_bytes(json_integer_value(json_object_get(slot, "behind_bytes")), b),
               json_object_get(slot, "wal_status") ? ", WAL " : "",
               json_object_get(slot, "wal_status") ? get(slot, "wal_status") : "");
    else if (json_object_get(o, "source_error"))
        printf("slot     unknown: %s\n", get(o, "source_error"));
    else if (json_is_null(slot) && json_is_string(json_object_get(o, "slot")))
        printf("slot     %s is not there\n", get(o, "slot"));
}

static void print_status(const json_t *o)
{
    char a[32], b[32];
    size_t i;
    json_t *row;
    json_int_t errors = json_integer_value(json_object_get(o, "errors"));
    printf("task     %s (%s)\nstate    %s%s%s, since %s\n", get(o, "name"), get(o, "task"),
           get(o, "state"), json_is_string(json_object_get(o, "reason")) ? ": " : "",
           json_is_string(json_object_get(o, "reason")) ? get(o, "reason") : "", get(o, "since"));
    if (json_is_string(json_object_get(o, "applied_lsn")))
        printf("applied  to %s, acknowledged to %s\n", get(o, "applied_lsn"), get(o, "acked_lsn"));
    print_slot(o);
    if (errors > 0)
        printf("errors   %lld changes were not applied: pgsluice errors FILE list\n",
               (long long)errors);
    printf("\n%-48s %-14s %15s %10s\n", "table", "state", "rows copied", "size");
    json_array_foreach(json_object_get(o, "tables"), i, row)
    {
        SL_SCRATCH(tmp);
        printf("%-48s %-14s %15s %10s%s%s\n",
               sl_arena_printf(&tmp, "%s.%s", get(row, "schema"), get(row, "table")),
               get(row, "state"), cli_count(json_integer_value(json_object_get(row, "rows")), a),
               cli_bytes(json_integer_value(json_object_get(row, "bytes")), b),
               json_object_get(row, "reason") ? "  " : "",
               json_object_get(row, "reason") ? get(row, "reason") : "");
    }
    if (json_array_size(json_object_get(o, "conflicts")) > 0)
        printf("\nConflicts:\n");
    json_array_foreach(json_object_get(o, "conflicts"), i, row)
        printf("  %-18s %s.%s: %s, last %s\n", get(row, "kind"), get(row, "schema"),
               get(row, "table"), cli_count(json_integer_value(json_object_get(row, "count")), a),
               get(row, "last"));
    if (json_array_size(json_object_get(o, "not_synchronized")) > 0)
        printf("\nNot synchronized:\n");
    json_array_foreach(json_object_get(o, "not_synchronized"), i, row)
        printf("  %-18s %s: %s\n", get(row, "kind"), get(row, "object"), get(row, "detail"));
}

int cmd_status(const cli_args *args)
{
    cli_task t = { 0 };
    sl_error err = SL_ERROR_INIT;
    json_t *out = json_object();
    sl_rc rc = cli_open(args, false, true, &t, &err);
    if (rc == SL_OK)
        rc = add_task(&t, out, &err);
    if (rc == SL_OK)
        rc = add_slot(&t, out, &err);
    if (rc == SL_OK)
        rc = add_tables(&t, out, &err);
    if (rc == SL_OK)
        rc = add_objects(&t, out, &err);
    if (rc == SL_OK)
        rc = add_conflicts(&t, out, &err);
    if (rc == SL_OK && args->json) {
        json_dumpf(out, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (rc == SL_OK) {
        print_status(out);
    }
    json_decref(out);
    cli_close(&t);
    return rc == SL_OK ? EXIT_DONE : cli_fail(args, &err);
}
