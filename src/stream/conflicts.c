/* conflicts.c: see the header. Tables are only looked through while something was noted. */
#include "stream/conflicts.h"

#include <string.h>

static const char *const names[] = { [SL_ROW_EXISTS] = "row_exists",
                                     [SL_ROW_MISSING] = "row_missing",
                                     [SL_UNIQUE_CONFLICT] = "unique_conflict" };

sl_conflict_kind sl_conflict_kind_of(const char *name)
{
    int kind = 0;
    while (kind < SL_CONFLICT_KINDS && !(name && strcmp(names[kind], name) == 0))
        kind++;
    return (sl_conflict_kind)kind;
}

void sl_conflicts_note(sl_run *run, sl_table *table, sl_conflict_kind kind, int64_t n)
{
    if (n <= 0)
        return;
    table->noted[kind] += n;
    run->conflicts_noted += n;
}

void sl_conflicts_keep(sl_run *run)
{
    if (run->conflicts_noted == 0)
        return;
    for (size_t i = 0; i < run->routes->n; i++) {
        sl_table *t = &run->tables[i];
        for (int k = 0; k < SL_CONFLICT_KINDS; k++) {
            t->conflicts += t->noted[k];
            t->unstored[k] += t->noted[k];
            t->noted[k] = 0;
        }
    }
    run->progress.conflicts += run->conflicts_noted;
    run->conflicts_noted = 0;
}

void sl_conflicts_forget(sl_run *run)
{
    if (run->conflicts_noted == 0)
        return;
    for (size_t i = 0; i < run->routes->n; i++)
        memset(run->tables[i].noted, 0, sizeof(run->tables[i].noted));
    run->conflicts_noted = 0;
}

static sl_rc store(sl_run *run, sl_pg *destination, sl_table *t, sl_conflict_kind kind,
                   sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *s = run->spec->state_schema;
    const char *schema = t->route->src_schema, *table = t->route->src_table;
    long long n = t->unstored[kind], epoch = run->epoch;
    const char *sql =
        sl_sql(&tmp,
               "WITH w AS (UPDATE %I.conflict SET count = count + %lld, last_at = pg_catalog.now()"
               " WHERE task_id = %L AND schema_name = %L AND table_name = %L AND kind = %L AND"
               " EXISTS (SELECT 1 FROM %I.task WHERE task_id = %L AND epoch = %lld) RETURNING 1)"
               " INSERT INTO %I.conflict (task_id, schema_name, table_name, kind, count)"
               " SELECT task_id, %L, %L, %L, %lld FROM %I.task WHERE task_id = %L AND epoch = %lld"
               " AND NOT EXISTS (SELECT 1 FROM w)",
               s, n, run->id, schema, table, names[kind], s, run->id, epoch, s, schema, table,
               names[kind], n, s, run->id, epoch);
    if (sl_pg_exec(destination, sql, err) != SL_OK)
        return sl_while(err, "counting conflicts");
    sl_event(run, "table.conflicts", "{s:s, s:s, s:I}", "table", sl_route_label(t->route, &tmp),
             "kind", names[kind], "count", (json_int_t)t->unstored[kind]);
    t->unstored[kind] = 0;
    return SL_OK;
}

sl_rc sl_conflicts_store(sl_run *run, sl_pg *destination, sl_error *err)
{
    for (size_t i = 0; i < run->routes->n; i++)
        for (int k = 0; k < SL_CONFLICT_KINDS; k++)
            if (run->tables[i].unstored[k] > 0 &&
                store(run, destination, &run->tables[i], (sl_conflict_kind)k, err) != SL_OK)
                return err->code;
    return SL_OK;
}
