/* shared.c: the tables that several sources share (`merge`), as the destination has them. */
#include "precheck/internal.h"

#include <string.h>

static void judge(sl_check_context *c, const sl_route *route, const PGresult *res)
{
    const char *name = sl_say(c, "%s.%s", route->merge_schema, route->merge_table);
    bool there = PQntuples(res) > 0;
    const char *key = there && sl_cell(res, 0, 0) ? sl_cell(res, 0, 0) : "";
    const char *column = there ? sl_cell(res, 0, 1) : NULL;
    if (!there || (column && strcmp(column, route->merge_column) == 0))
        return;
    sl_report(c, name,
              key[0] ? sl_say(c, "The table %s is partitioned by %s.", name, key)
                     : sl_say(c, "%s is in the destination and is no partitioned table.", name),
              sl_sql(&c->arena,
                     "Give merge.into another name, or make it with: CREATE TABLE %I.%I (…, %I text"
                     " NOT NULL, PRIMARY KEY (…, %I)) PARTITION BY LIST (%I);",
                     route->merge_schema, route->merge_table, route->merge_column,
                     route->merge_column, route->merge_column));
}

sl_rc sl_check_shared(sl_check_context *c, sl_error *err)
{
    bool any = false;
    for (size_t i = 0; i < c->run->routes->n; i++) {
        const sl_route *route = &c->run->routes->items[i];
        SL_RESULT(res);
        if (!route->merge_table)
            continue;
        any = true;
        if (c->destination->version < SL_PG_11) {
            sl_report(c, "merge", "The destination is older than PostgreSQL 11.",
                      "Give each source a table of its own (rename), or use a newer destination.");
            return SL_OK;
        }
        const char *sql = sl_sql(&c->arena,
                                 "SELECT CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid)"
                                 " END, (SELECT a.attname FROM pg_partitioned_table p"
                                 " JOIN pg_attribute a ON a.attrelid = c.oid"
                                 " AND a.attnum = p.partattrs[0] WHERE p.partrelid = c.oid"
                                 " AND p.partstrat = 'l' AND p.partnatts = 1)"
                                 " FROM pg_class c JOIN pg_namespace n"
                                 " ON n.oid = c.relnamespace WHERE n.nspname = %L"
                                 " AND c.relname = %L",
                                 route->merge_schema, route->merge_table);
        if (sl_check_ask(c, c->destination, "the shared table", sql, &res, err) != SL_OK)
            return err->code;
        judge(c, route, res);
    }
    return any ? SL_OK : SL_NOT_FOUND;
}
