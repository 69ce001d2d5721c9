/* shared.c: tables that several sources share (`merge`).
 *
 * Each source's rows are a partition of the shared table, for one value of its source column. So a
 * task writes into a table of its own, as everywhere: copied, emptied, truncated, resynchronized
 * without touching another source's rows; and the key of the shared table, source column included,
 * is kept by the server. The shared table is made by whoever comes first; a partition is attached
 * when its rows and its key are there. */
#include "schema/internal.h"
#include "spec/names.h"

static const char *shared_sql(sl_cat *cat, const sl_route *route)
{
    return sl_sql(&cat->arena, "%I.%I", route->merge_schema, route->merge_table);
}

static void emit_attachment(sl_cat *cat, sl_node *node)
{
    const sl_route *route = node->route;
    node->sql =
        sl_sql(cat->out, "ALTER TABLE %s ATTACH PARTITION %s FOR VALUES IN (%L);",
               shared_sql(cat, route), sl_route_dst_sql(route, &cat->arena), route->merge_value);
}

void sl_cat_add_attachment(sl_cat *cat, sl_cat_table *table)
{
    const sl_route *route = table->route;
    sl_node *node = sl_cat_add(cat, 0, 0, SL_RANK_TABLE_MARK, "partition", NULL, route->src_table);
    node->identity = sl_route_label(route, cat->out);
    node->schema = route->src_schema;
    node->route = route;
    node->phase = SL_PHASE_POST;
    node->wanted = node->required = true;
    node->emit = emit_attachment;
    table->attachment = node;
    if (cat->dst_version < SL_PG_11)
        table->node->unsupported = "merge needs PostgreSQL 11";
}

/* Two tasks that make the shared table at the same time wait for each other. The schema may be one
 * that nothing else of the task is in; who may not create schemas may still use it. */
void sl_cat_shared_head(sl_cat *cat, sl_buf *sql, const sl_cat_table *table)
{
    const sl_route *route = table->route;
    const char *create = sl_sql(&cat->arena, "CREATE SCHEMA %I", route->merge_schema);
    const char *body =
        sl_sql(&cat->arena,
               "BEGIN PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext(%L));"
               " IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = %L) THEN"
               " EXECUTE %L; END IF; END",
               shared_sql(cat, route), route->merge_schema, create);
    sl_sql_add(sql, "DO %L;\n", body);
}

/* The source column, which the rows get by its default. The check spares ATTACH a scan. */
void sl_cat_shared_elements(sl_cat *cat, sl_buf *list, const sl_cat_table *table, size_t n)
{
    const sl_route *route = table->route;
    const char *check = sl_arena_printf(&cat->arena, "%s_is_its_source", route->merge_column);
    sl_sql_add(list, "%s\n    %I text NOT NULL DEFAULT %L,\n    CONSTRAINT %I CHECK (%I = %L)",
               n ? "," : "", route->merge_column, route->merge_value,
               sl_names_fit(check, &cat->arena), route->merge_column, route->merge_value);
}

void sl_cat_shared_after(sl_cat *cat, sl_buf *sql, const sl_cat_table *table)
{
    const sl_route *route = table->route;
    sl_sql_add(sql, "CREATE TABLE IF NOT EXISTS %s (LIKE %s%s, PRIMARY KEY (",
               shared_sql(cat, route), sl_route_dst_sql(route, &cat->arena),
               cat->dst_version >= SL_PG_12 ? " INCLUDING GENERATED" : "");
    for (size_t i = 0; i < route->n_key; i++)
        sl_sql_add(sql, "%I, ", route->columns[route->key[i]].dst_name);
    sl_sql_add(sql, "%I)) PARTITION BY LIST (%I);\n", route->merge_column, route->merge_column);
}
