/* requests.c: what a user asks of a running worker, by way of the destination. */
#include <stdlib.h>
#include <string.h>

#include "state/internal.h"

/* Tells the running worker, if there is one, that there is a request for it: it listens on the
 * slot's name. */
static sl_rc notify(const sl_run *run, sl_pg *destination, sl_error *err)
{
    SL_SCRATCH(tmp);
    if (sl_pg_exec(destination, sl_sql(&tmp, "NOTIFY %I", run->slot), err) != SL_OK)
        return sl_while(err, "telling the running task");
    return SL_OK;
}

sl_rc sl_state_request(const sl_run *run, sl_pg *destination, sl_request_kind kind,
                       const char *schema, const char *table, sl_error *err)
{
    static const struct {
        const char *word, *states;
    } kinds[] = {
        [SL_REQUEST_RESYNC] = { "resync", "'synchronizing', 'catching_up', 'set_aside', 'failed'" },
        [SL_REQUEST_SET_ASIDE] = { "set_aside", "'synchronizing'" },
    };
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    if (sl_pg_query(destination,
                    sl_sql(&tmp,
                           "UPDATE %I.tables SET request = %L WHERE task_id = %L AND"
                           " table_name = %L AND (%L::text IS NULL OR schema_name = %L) AND state"
                           " IN (%s)",
                           run->spec->state_schema, kinds[kind].word, run->id, table, schema,
                           schema, kinds[kind].states),
                    &res, err) != SL_OK)
        return sl_while(err, "storing the request for table %s", table);
    if (atoi(PQcmdTuples(res)) == 0)
        return SL_NOT_FOUND;
    return notify(run, destination, err);
}

sl_rc sl_state_request_resyncs(sl_run *run, sl_pg *destination, const sl_table *const *tables,
                               size_t n, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_BUF(schemas);
    SL_BUF(names);
    const char *schema = run->spec->state_schema;
    sl_array_start(&schemas);
    sl_array_start(&names);
    for (size_t i = 0; i < n; i++) {
        sl_array_add(&schemas, tables[i]->route->src_schema);
        sl_array_add(&names, tables[i]->route->src_table);
    }
    sl_array_end(&schemas);
    sl_array_end(&names);
    const char *sql =
        sl_sql(&tmp,
               "UPDATE %I.tables t SET request = 'resync' FROM unnest($3::text[], $4::text[]) AS"
               " u(schema_name, table_name) WHERE t.task_id = $1 AND t.schema_name = u.schema_name"
               " AND t.table_name = u.table_name AND EXISTS (SELECT 1 FROM %I.task WHERE task_id ="
               " $1 AND epoch = $2::bigint FOR SHARE)",
               schema, schema);
    return sl_state_fenced_exec(run, destination, sql, 4,
                                (const char *[]){ run->id, sl_text_int(&tmp, run->epoch),
                                                  schemas.data, names.data },
                                "asking for the copies of new tables", err);
}

sl_rc sl_state_next_request(sl_run *run, sl_pg *destination, sl_table **table,
                            sl_request_kind *kind, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    *table = NULL;
    if (sl_pg_query(destination,
                    sl_sql(&tmp,
                           "SELECT schema_name, table_name, coalesce(request = 'set_aside', false)"
                           " FROM %I.tables WHERE task_id = %L AND (request IN ('resync',"
                           " 'set_aside') OR snapshot_lsn = %P AND state <> 'set_aside')"
                           " ORDER BY 3 DESC, 1, 2",
                           run->spec->state_schema, run->id, SL_LSN_RESYNC),
                    &res, err) != SL_OK)
        return sl_while(err, "looking for what is asked of tables");
    for (int i = 0; i < PQntuples(res) && !*table; i++) {
        const sl_route *route = sl_route_find(run->routes, sl_cell(res, i, 0), sl_cell(res, i, 1));
        if (route && route->relkind == 'r')
            *table = &run->tables[route->index];
        *kind = sl_cell_bool(res, i, 2) ? SL_REQUEST_SET_ASIDE : SL_REQUEST_RESYNC;
    }
    return SL_OK;
}

sl_rc sl_state_let_go_requested(sl_run *run, sl_pg *destination, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *schema = run->spec->state_schema;
    if (sl_pg_exec(destination,
                   sl_sql(&tmp,
                          "UPDATE %I.tables SET snapshot_lsn = %P, state = 'catching_up', reason ="
                          " 'resync' WHERE task_id = %L AND request = 'resync' AND EXISTS (SELECT 1"
                          " FROM %I.task WHERE task_id = %L AND epoch = %lld);"
                          "UPDATE %I.tables SET request = NULL, state = 'set_aside', reason = %L"
                          " WHERE task_id = %L AND request = 'set_aside' AND EXISTS (SELECT 1"
                          " FROM %I.task WHERE task_id = %L AND epoch = %lld)",
                          schema, SL_LSN_RESYNC, run->id, schema, run->id, (long long)run->epoch,
                          schema, SL_ASIDE_BY_REQUEST, run->id, schema, run->id,
                          (long long)run->epoch),
                   err) != SL_OK)
        return sl_while(err, "looking for what is asked of tables");
    sl_rc rc = sl_state_load_tables(run, destination, err);
    for (size_t i = 0; i < run->routes->n; i++)
        run->resynced |= run->tables[i].snapshot_lsn == SL_LSN_RESYNC;
    return rc;
}

sl_rc sl_state_clear_request(sl_run *run, sl_pg *destination, const sl_table *table, sl_error *err)
{
    SL_SCRATCH(tmp);
    return sl_pg_exec(destination,
                      sl_sql(&tmp, "UPDATE %I.tables SET request = NULL WHERE %s",
                             run->spec->state_schema, sl_state_is_table(run, table, &tmp)),
                      err);
}
