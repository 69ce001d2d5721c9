/* errors.c: `pgsluice errors` and `pgsluice skip`: changes that could not be applied. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* Rows chosen by the words after the action: ids, or --all. */
static sl_rc choose(const cli_args *args, sl_arena *arena, const char **where, sl_error *err)
{
    SL_BUF(list);
    for (int i = 0; i < args->n_rest; i++) {
        char *end;
        long long id = strtoll(args->rest[i], &end, 10);
        if (*end || id <= 0)
            return sl_fail(err, SL_USAGE, "\"%s\" is not an id; `errors FILE list` shows them",
                           args->rest[i]);
        sl_buf_printf(&list, "%s%lld", i ? "," : "", id);
    }
    if (args->n_rest == 0 && !args->all)
        return sl_fail(err, SL_USAGE, "name the ids, or use --all");
    *where = args->all ? "true" : sl_sql(arena, "id IN (%s)", list.data);
    return SL_OK;
}

static sl_rc select_errors(cli_task *t, const char *where, PGresult **res, sl_error *err)
{
    SL_SCRATCH(tmp);
    sl_rc rc = sl_pg_query(t->destination,
                           sl_sql(&tmp,
                                  "SELECT id, state, commit_lsn, seq, schema_name, table_name,"
                                  " operation, conflict, key, row_data, sqlstate, message,"
                                  " pg_catalog.to_char(recorded_at AT TIME ZONE 'UTC',"
                                  " 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM %I.error WHERE task_id ="
                                  " %L AND %s ORDER BY commit_lsn, seq",
                                  t->spec->state_schema, t->run.id, where),
                           res, err);
    return rc == SL_OK ? rc : sl_while(err, "reading the list of errors");
}

static const char *or_dash(const char *s)
{
    return s ? s : "-";
}

static void print_error(const PGresult *res, int i, const char *file)
{
    const char *id = sl_cell(res, i, 0), *state = sl_cell(res, i, 1);
    printf("%s  %s  %s of %s.%s  at %s, change %s%s%s\n", id, state, or_dash(sl_cell(res, i, 6)),
           or_dash(sl_cell(res, i, 4)), or_dash(sl_cell(res, i, 5)), sl_cell(res, i, 2),
           sl_cell(res, i, 3), sl_cell(res, i, 7) ? "  " : "",
           sl_cell(res, i, 7) ? sl_cell(res, i, 7) : "");
    printf("    cause:  %s%s%s\n", or_dash(sl_cell(res, i, 11)),
           sl_cell(res, i, 10) ? ", SQLSTATE " : "",
           sl_cell(res, i, 10) ? sl_cell(res, i, 10) : "");
    if (sl_cell(res, i, 8))
        printf("    key:    %s\n", sl_cell(res, i, 8));
    if (sl_cell(res, i, 9))
        printf("    row:    %s\n", sl_cell(res, i, 9));
    if (strcmp(state, "stopped") == 0)
        printf("    remedy: remove the cause in the destination and run again, or leave the change "
               "out:\n            pgsluice errors %s skip %s\n",
               file, id);
    else if (strcmp(state, "set_aside") == 0)
        printf("    remedy: remove the cause and apply it: pgsluice errors %s retry %s\n"
               "            or leave it out: pgsluice errors %s skip %s\n",
               file, id, file, id);
}

static json_t *error_json(const PGresult *res, int i)
{
    static const char *const keys[] = { NULL,       "state",     "commit_lsn", NULL,  "schema",
                                        "table",    "operation", "conflict",   "key", "row",
                                        "sqlstate", "message",   "recorded_at" };
    json_t *o = json_pack("{s:I, s:I}", "id", (json_int_t)sl_cell_int(res, i, 0), "change",
                          (json_int_t)sl_cell_int(res, i, 3));
    for (int c = 0; c < 13; c++) {
        const char *v = sl_cell(res, i, c);
        bool parsed = c == 8 || c == 9;
        json_t *value = v && parsed ? json_loads(v, JSON_DECODE_ANY, NULL) : NULL;
        if (keys[c] && v)
            json_object_set_new(o, keys[c], value ? value : json_string(v));
    }
    return o;
}

static sl_rc list(const cli_args *args, cli_task *t, sl_error *err)
{
    SL_RESULT(res);
    if (select_errors(t, "state IN ('stopped', 'set_aside', 'skip')", &res, err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(res); i++) {
        if (!args->json) {
            print_error(res, i, args->file);
            continue;
        }
        json_t *o = error_json(res, i);
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(o);
    }
    if (PQntuples(res) == 0 && !args->json)
        printf("No change is stopped at or set aside.\n");
    return SL_OK;
}

static sl_rc set_state(const cli_args *args, cli_task *t, const char *where, const char *state,
                       sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    if (sl_pg_query(t->destination,
                    sl_sql(&tmp,
                           "UPDATE %I.error SET state = CASE WHEN state = 'set_aside' THEN"
                           " 'dropped' ELSE %L END WHERE task_id = %L AND state IN ('stopped',"
                           " 'set_aside') AND %s",
                           t->spec->state_schema, state, t->run.id, where),
                    &res, err) != SL_OK)
        return sl_while(err, "marking errors to be skipped");
    int n = atoi(PQcmdTuples(res));
    if (n == 0) {
        sl_fail(err, SL_FAILED, "no such error is waiting");
        return sl_hint(err, "See: pgsluice errors %s list", args->file);
    }
    printf("%d %s left out.%s\n", n, n == 1 ? "change is" : "changes are",
           " A stopped task goes on when it is run again.");
    return SL_OK;
}

/* "a", "b" of the object's keys, all quoted; prefix and suffix around each; joined by sep. */
static void add_names(sl_buf *out, const json_t *object, const char *fmt, const char *sep)
{
    const char *key;
    json_t *value;
    bool first = true;
    json_object_foreach((json_t *)object, key, value)
    {
        if (!first)
            sl_buf_puts(out, sep);
        first = false;
        sl_sql_add(out, fmt, key, key);
    }
}

/* ---- retry ----
 *
 * What was set aside is old: the stream has gone on since, and a newer change of the same row may
 * lie in the destination. So a change is only applied while it is what the source's row still says:
 * then whatever the stream has applied since, or is about to, ends in the same row. */

static const sl_column *column_by_dst(const sl_route *route, const char *name)
{
    for (size_t i = 0; i < route->n_columns; i++)
        if (strcmp(route->columns[i].dst_name, name) == 0)
            return &route->columns[i];
    return NULL;
}

/* "column is that value", compared as text of the column's own type, so that every type has it. */
static bool add_equal(sl_buf *out, const sl_route *route, const char *name, const json_t *value,
                      bool match)
{
    const sl_column *c = column_by_dst(route, name);
    const char *text = json_string_value(value);
    if (!c || (!text && !json_is_null(value)))
        return false;
    if (match)
        sl_sql_add(out, "%s%I = %L::%s", out->len ? " AND " : "", c->name, text, c->type_sql);
    else
        sl_sql_add(out, " AND %I::text IS NOT DISTINCT FROM %L::%s::text", c->name, text,
                   c->type_sql);
    return true;
}

/* The source's row, by the key that it has after the change: is it what the change made of it? */
static bool still_true_sql(const sl_route *route, const json_t *key, const json_t *row, sl_buf *sql)
{
    SL_BUF(match);
    SL_BUF(same);
    SL_SCRATCH(tmp);
    const char *name;
    json_t *value;
    bool ok = true;
    json_object_foreach((json_t *)key, name, value)
    {
        const json_t *after = row ? json_object_get(row, name) : NULL;
        ok &= add_equal(&match, route, name, after ? after : value, true);
    }
    json_object_foreach((json_t *)row, name, value)
    {
        ok &= add_equal(&same, route, name, value, false);
    }
    sl_sql_add(sql, "SELECT 1 FROM %s%s WHERE %s%s", route->relkind == 'r' ? "ONLY " : "",
               sl_route_src_sql(route, &tmp), sl_buf_str(&match), sl_buf_str(&same));
    return ok && match.len > 0;
}

static sl_rc newer_change(const cli_task *t, const char *id, const sl_route *route, sl_error *err)
{
    SL_SCRATCH(tmp);
    sl_fail(err, SL_FAILED,
            "the row of error %s is another one on the source now: a newer change lies over it",
            id);
    return sl_hint(err,
                   "Nothing was changed. If the destination's row is right, leave the old change "
                   "out: pgsluice errors %s skip %s; else: pgsluice resync %s %s",
                   t->spec->file, id, t->spec->file, sl_route_label(route, &tmp));
}

static sl_rc check_still_true(cli_task *t, const PGresult *res, int i, sl_error *err)
{
    SL_BUF(sql);
    SL_RESULT(found);
    const sl_route *route = sl_route_find(t->run.routes, sl_cell(res, i, 4), sl_cell(res, i, 5));
    const char *id = sl_cell(res, i, 0), *row_text = sl_cell(res, i, 9);
    if (!route || !sl_cell(res, i, 8))
        return SL_OK; /* cannot be retried at all, which is told later */
    if (route->n_key == 0) {
        sl_fail(err, SL_FAILED,
                "error %s cannot be retried: its table has no key, so nothing "
                "tells whether a newer change lies over it",
                id);
        return sl_hint(err, "Bring the table in step: pgsluice resync %s %s.%s", t->spec->file,
                       sl_cell(res, i, 4), sl_cell(res, i, 5));
    }
    json_t *key = json_loads(sl_cell(res, i, 8), 0, NULL);
    json_t *row = row_text ? json_loads(row_text, 0, NULL) : NULL;
    bool ok = still_true_sql(route, key, row, &sql);
    json_decref(key);
    json_decref(row);
    if (!ok)
        return sl_fail(err, SL_FAILED, "error %s cannot be retried: its record is not complete",
                       id);
    if (sl_pg_query(t->source, sl_buf_str(&sql), &found, err) != SL_OK)
        return sl_while(err, "reading the row of error %s on the source", id);
    bool there = PQntuples(found) > 0, gone = strcmp(sl_cell(res, i, 6), "delete") == 0;
    return there == gone ? newer_change(t, id, route, err) : SL_OK;
}

/* The change as it was, from its JSON: types are the destination's, by its own input functions. */
static sl_rc retry_sql(cli_task *t, const PGresult *res, int i, sl_buf *sql, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *op = sl_cell(res, i, 6);
    const sl_route *route = sl_route_find(t->run.routes, sl_cell(res, i, 4), sl_cell(res, i, 5));
    const char *key_text = sl_cell(res, i, 8), *row_text = sl_cell(res, i, 9);
    if (!route || !op || (!key_text && !row_text))
        return sl_fail(err, SL_FAILED, "error %s cannot be retried: its table is not in the task",
                       sl_cell(res, i, 0));
    const char *table = sl_route_dst_sql(route, &tmp);
    json_t *key = key_text ? json_loads(key_text, 0, NULL) : NULL;
    json_t *row = row_text ? json_loads(row_text, 0, NULL) : NULL;
    if (strcmp(op, "insert") == 0 && row) {
        sl_sql_add(sql, "INSERT INTO %s (", table);
        add_names(sql, row, "%I", ", ");
        sl_sql_add(sql, ") %sSELECT ", sl_overriding_sql(t->destination->version));
        add_names(sql, row, "%I", ", ");
        sl_sql_add(sql, " FROM pg_catalog.jsonb_populate_record(NULL::%s, %L)", table, row_text);
    } else if (strcmp(op, "update") == 0 && key && row) {
        sl_sql_add(sql, "UPDATE %s t SET ", table);
        add_names(sql, row, "%I = r.%I", ", ");
        sl_sql_add(sql,
                   " FROM pg_catalog.jsonb_populate_record(NULL::%s, %L) r,"
                   " pg_catalog.jsonb_populate_record(NULL::%s, %L) k WHERE ",
                   table, row_text, table, key_text);
        add_names(sql, key, "t.%I = k.%I", " AND ");
    } else if (strcmp(op, "delete") == 0 && key) {
        sl_sql_add(sql,
                   "DELETE FROM %s t USING pg_catalog.jsonb_populate_record(NULL::%s, %L) k WHERE ",
                   table, table, key_text);
        add_names(sql, key, "t.%I = k.%I", " AND ");
    } else {
        sl_fail(err, SL_FAILED, "error %s (%s) cannot be retried by itself", sl_cell(res, i, 0),
                op);
    }
    json_decref(key);
    json_decref(row);
    return err->code;
}

/* Several changes of one row were set aside, one for another's sake: applied one after the other
 * they end in what the last one says. */
static int newest_of_row(const PGresult *res, int i)
{
    int newest = i;
    for (int j = i + 1; j < PQntuples(res); j++)
        if (strcmp(or_dash(sl_cell(res, i, 4)), or_dash(sl_cell(res, j, 4))) == 0 &&
            strcmp(or_dash(sl_cell(res, i, 5)), or_dash(sl_cell(res, j, 5))) == 0 &&
            strcmp(or_dash(sl_cell(res, i, 8)), or_dash(sl_cell(res, j, 8))) == 0)
            newest = j;
    return newest;
}

static sl_rc retry_one(cli_task *t, const PGresult *res, int i, sl_error *err)
{
    SL_BUF(sql);
    SL_RESULT(done);
    SL_SCRATCH(tmp);
    sl_error ignored = SL_ERROR_INIT;
    const char *id = sl_cell(res, i, 0);
    bool delete = strcmp(or_dash(sl_cell(res, i, 6)), "delete") == 0;
    sl_rc rc = check_still_true(t, res, newest_of_row(res, i), err);
    if (rc == SL_OK)
        rc = retry_sql(t, res, i, &sql, err);
    if (rc == SL_OK)
        rc = sl_pg_exec(t->destination, "BEGIN", err);
    if (rc != SL_OK)
        return rc;
    rc = sl_pg_query(t->destination, sql.data, &done, err);
    if (rc == SL_OK && atoi(PQcmdTuples(done)) != 1 && !delete)
        rc = sl_fail(err, SL_FAILED, "it matched %s rows in the destination instead of one",
                     PQcmdTuples(done));
    if (rc == SL_OK)
        rc = sl_pg_exec(t->destination,
                        sl_sql(&tmp, "UPDATE %I.error SET state = 'done' WHERE id = %s; COMMIT",
                               t->spec->state_schema, id),
                        err);
    if (rc == SL_OK) {
        printf("%s: applied.\n", id);
        return rc;
    }
    sl_pg_exec(t->destination, "ROLLBACK", &ignored);
    return sl_while(err, "retrying error %s", id);
}

static sl_rc retry(cli_task *t, const char *where, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    sl_rc rc = sl_task_open(&t->run, SL_NEED_ROUTES, &t->source, NULL, err);
    if (rc == SL_OK)
        rc = select_errors(t, sl_sql(&tmp, "state IN ('stopped', 'set_aside') AND %s", where), &res,
                           err);
    for (int i = 0; rc == SL_OK && i < PQntuples(res); i++) {
        if (strcmp(sl_cell(res, i, 1), "stopped") == 0)
            printf("%s: the task stopped there; run it again and it is tried first.\n",
                   sl_cell(res, i, 0));
        else
            rc = retry_one(t, res, i, err);
    }
    return rc;
}

int cmd_errors(const cli_args *args)
{
    SL_SCRATCH(tmp);
    cli_task t = { 0 };
    sl_error err = SL_ERROR_INIT;
    const char *where = NULL;
    const char *action = args->action ? args->action : "list";
    bool is_list = strcmp(action, "list") == 0, is_retry = strcmp(action, "retry") == 0;
    sl_rc rc = SL_OK;
    if (!is_list && !is_retry && strcmp(action, "skip") != 0)
        rc = sl_fail(&err, SL_USAGE, "errors: unknown action \"%s\"; there are list, retry, skip",
                     action);
    if (rc == SL_OK && !is_list)
        rc = choose(args, &tmp, &where, &err);
    if (rc == SL_OK)
        rc = cli_open(args, is_retry, true, &t, &err);
    if (rc == SL_OK)
        rc = is_list    ? list(args, &t, &err)
             : is_retry ? retry(&t, where, &err)
                        : set_state(args, &t, where, "skip", &err);
    cli_close(&t);
    return rc == SL_OK ? EXIT_DONE : cli_fail(args, &err);
}

int cmd_skip(const cli_args *args)
{
    SL_SCRATCH(tmp);
    cli_task t = { 0 };
    sl_error err = SL_ERROR_INIT;
    sl_lsn lsn;
    sl_rc rc = SL_OK;
    if (!sl_lsn_parse(args->lsn, &lsn))
        rc = sl_fail(&err, SL_USAGE, "--lsn %s is not an LSN such as 16/B374D848", args->lsn);
    if (rc == SL_OK)
        rc = cli_open(args, false, true, &t, &err);
    if (rc == SL_OK) {
        const char *s = t.spec->state_schema;
        rc = sl_pg_exec(t.destination,
                        sl_sql(&tmp,
                               "BEGIN; DELETE FROM %I.error WHERE task_id = %L AND commit_lsn = %P"
                               " AND seq = 0; UPDATE %I.error SET state = 'dropped' WHERE task_id ="
                               " %L AND commit_lsn = %P AND state = 'stopped'; INSERT INTO %I.error"
                               " (task_id, state, commit_lsn, seq, operation, message) VALUES (%L,"
                               " 'skip', %P, 0, 'transaction', 'skipped on request'); COMMIT",
                               s, t.run.id, lsn, s, t.run.id, lsn, s, t.run.id, lsn),
                        &err);
    }
    if (rc == SL_OK)
        printf("The next run leaves out the transaction that commits at %s.\n", args->lsn);
    cli_close(&t);
    return rc == SL_OK ? EXIT_DONE : cli_fail(args, &err);
}
