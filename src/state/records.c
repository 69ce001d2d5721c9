/* records.c: what is written down for people: objects' results, errors, the task's state. */
#include <stdlib.h>
#include <string.h>

#include "state/internal.h"

const char *sl_object_result_name(sl_object_result result)
{
    static const char *const names[] = { "created", "skipped", "failed", "unsupported" };
    return names[result];
}

char *sl_state_objects_sql(const sl_run *run, const sl_object_record *records, size_t n,
                           sl_arena *arena)
{
    SL_BUF(sql);
    const char *schema = run->spec->state_schema;
    sl_sql_add(&sql, "DELETE FROM %I.object WHERE task_id = %L AND (kind, identity) IN (", schema,
               run->id);
    for (size_t i = 0; i < n; i++)
        sl_sql_add(&sql, "%s(%L, %L)", i ? ", " : "", records[i].kind, records[i].identity);
    sl_sql_add(
        &sql,
        "); INSERT INTO %I.object (task_id, kind, identity, result, sqlstate, detail) VALUES ",
        schema);
    for (size_t i = 0; i < n; i++)
        sl_sql_add(&sql, "%s(%L, %L, %L, %L, %L, %L)", i ? ", " : "", run->id, records[i].kind,
                   records[i].identity, sl_object_result_name(records[i].result),
                   records[i].sqlstate, records[i].detail);
    return sl_arena_strndup(arena, sl_buf_str(&sql), sql.len);
}

sl_rc sl_state_record_object(sl_run *run, sl_pg *destination, const char *kind,
                             const char *identity, sl_object_result result, const char *sqlstate,
                             const char *detail, sl_error *err)
{
    SL_SCRATCH(tmp);
    sl_object_record record = { kind, identity, result, sqlstate, detail };
    if (sl_pg_exec(destination, sl_state_objects_sql(run, &record, 1, &tmp), err) != SL_OK)
        return sl_while(err, "recording the result of %s %s", kind, identity);
    return SL_OK;
}

sl_rc sl_state_load_objects(sl_run *run, sl_pg *destination, sl_map **objects, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    *objects = NULL;
    if (sl_pg_query(destination,
                    sl_sql(&tmp, "SELECT kind, identity, result FROM %I.object WHERE task_id = %L",
                           run->spec->state_schema, run->id),
                    &res, err) != SL_OK)
        return sl_while(err, "reading which objects are there");
    *objects = sl_map_new();
    for (int i = 0; i < PQntuples(res); i++) {
        size_t kind = (size_t)PQgetlength(res, i, 0), identity = (size_t)PQgetlength(res, i, 1);
        char *key = sl_arena_alloc(&tmp, kind + 1 + identity + 1);
        memcpy(key, PQgetvalue(res, i, 0), kind + 1);
        memcpy(key + kind + 1, PQgetvalue(res, i, 1), identity + 1);
        for (int r = SL_OBJECT_CREATED; r <= SL_OBJECT_UNSUPPORTED; r++)
            if (strcmp(PQgetvalue(res, i, 2), sl_object_result_name(r)) == 0)
                sl_map_put(*objects, key, kind + 1 + identity, (void *)(intptr_t)(r + 1));
    }
    return SL_OK;
}

sl_rc sl_state_set_task(sl_run *run, sl_pg *destination, const char *state, const char *reason,
                        sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const char *schema = run->spec->state_schema;
    if (sl_pg_query(destination,
                    sl_sql(&tmp,
                           "UPDATE %I.task_state SET state = %L, reason = %L, updated_at ="
                           " pg_catalog.now() WHERE task_id = %L",
                           schema, state, reason, run->id),
                    &res, err) != SL_OK)
        return sl_while(err, "storing the task's state");
    if (atoi(PQcmdTuples(res)) > 0)
        return SL_OK;
    return sl_pg_exec(destination,
                      sl_sql(&tmp, "INSERT INTO %I.task_state VALUES (%L, %L, %L)", schema, run->id,
                             state, reason),
                      err);
}

sl_rc sl_state_record_error(sl_run *run, sl_pg *destination, const sl_change_error *e, bool *again,
                            sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const char *schema = run->spec->state_schema;
    if (sl_pg_query(destination,
                    sl_sql(&tmp,
                           "DELETE FROM %I.error WHERE task_id = %L AND commit_lsn = %P AND"
                           " seq = %u",
                           schema, run->id, e->commit_lsn, e->seq),
                    &res, err) != SL_OK)
        return sl_while(err, "recording a change that could not be applied");
    *again = atoi(PQcmdTuples(res)) > 0;
    const char *sql = sl_sql(
        &tmp,
        "INSERT INTO %I.error (task_id, state, commit_lsn, seq, schema_name, table_name, operation,"
        " conflict, key, row_data, sqlstate, message) VALUES (%L, %L, %P, %u, %L, %L, %L, %L, %L,"
        " %L, %L, %L)",
        schema, run->id, e->state, e->commit_lsn, e->seq, e->schema, e->table, e->operation,
        e->conflict, e->key, e->row, e->sqlstate, e->message);
    if (sl_pg_exec(destination, sql, err) != SL_OK)
        return sl_while(err, "recording a change that could not be applied");
    return SL_OK;
}

sl_rc sl_state_errors_passed(sl_run *run, sl_pg *destination, sl_lsn lsn, int64_t *left,
                             sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const char *schema = run->spec->state_schema;
    if (sl_pg_query(destination,
                    sl_sql(&tmp,
                           "UPDATE %I.error SET state = 'applied' WHERE task_id = %L AND state ="
                           " 'stopped' AND commit_lsn < %P",
                           schema, run->id, lsn),
                    &res, err) != SL_OK ||
        sl_pg_query(destination,
                    sl_sql(&tmp,
                           "SELECT count(*) FROM %I.error WHERE task_id = %L AND state = 'stopped'",
                           schema, run->id),
                    &res, err) != SL_OK)
        return sl_while(err, "updating the list of errors");
    *left = sl_cell_int(res, 0, 0);
    return SL_OK;
}

sl_rc sl_state_load_skips(sl_run *run, sl_pg *destination, sl_map **skips, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    *skips = NULL;
    if (sl_pg_query(destination,
                    sl_sql(&tmp,
                           "SELECT commit_lsn::text || ':' || seq FROM %I.error WHERE task_id = %L"
                           " AND state = 'skip'",
                           run->spec->state_schema, run->id),
                    &res, err) != SL_OK)
        return sl_while(err, "reading which changes to skip");
    *skips = sl_map_new();
    for (int i = 0; i < PQntuples(res); i++)
        sl_map_put(*skips, PQgetvalue(res, i, 0), (size_t)PQgetlength(res, i, 0), run);
    return SL_OK;
}
