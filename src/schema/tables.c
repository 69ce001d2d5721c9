/* tables.c: reads the selected tables, their parents, columns, not-null constraints and defaults.
 *
 * Expressions and type names come from the server (pg_get_expr, format_type) under an empty
 * search_path, so that every reference is schema-qualified. Options that an older destination does
 * not know are left out by the query itself and named in the table's detail. */
#include "schema/follow.h"

#include <stdlib.h>
#include <string.h>

/* Storage parameters by the first version that knows them; older ones are in every version. */
static const struct {
    const char *name;
    int since;
} storage_parameters[] = {
    { "vacuum_index_cleanup", SL_PG_12 },
    { "vacuum_truncate", SL_PG_12 },
    { "autovacuum_vacuum_insert_threshold", SL_PG_13 },
    { "autovacuum_vacuum_insert_scale_factor", SL_PG_13 },
    { "toast_tuple_target", SL_PG_11 },
    { "security_invoker", SL_PG_15 },
    { "autovacuum_vacuum_max_threshold", SL_PG_18 },
    { "vacuum_max_eager_freeze_failure_rate", SL_PG_18 },
};

/* SQL for the options of `column` (a text[]) as prefix"name"='value', …, without those the
 * destination does not know; prefix NULL: only the names of those. */
static char *options_sql(sl_cat *cat, const char *column, const char *prefix)
{
    SL_BUF(unknown);
    sl_buf_puts(&unknown, "'oids'");
    for (size_t i = 0; i < sizeof(storage_parameters) / sizeof(storage_parameters[0]); i++)
        if (cat->dst_version < storage_parameters[i].since)
            sl_sql_add(&unknown, ", %L", storage_parameters[i].name);
    if (!prefix)
        return sl_sql(&cat->arena,
                      "(SELECT string_agg(split_part(o, '=', 1), ', ') FROM unnest(%s) o"
                      " WHERE split_part(o, '=', 1) IN (%s))",
                      column, sl_buf_str(&unknown));
    return sl_sql(&cat->arena,
                  "(SELECT string_agg(format('%s%%I=%%L', split_part(o, '=', 1),"
                  " substr(o, strpos(o, '=') + 1)), ', ') FROM unnest(%s) o"
                  " WHERE split_part(o, '=', 1) NOT IN (%s))",
                  prefix, column, sl_buf_str(&unknown));
}

static void table_row(sl_cat *cat, const PGresult *row)
{
    uint32_t oid = sl_cat_oid(row, 0);
    const sl_route *route = sl_route_by_oid(cat->routes, oid);
    if (!route || sl_cat_find(cat, SL_CLASS_REL, oid)) /* a member of an extension comes with it */
        return;
    sl_cat_table *table = SL_NEW(&cat->arena, sl_cat_table);
    cat->tables[route->index] = table;
    table->route = route;
    table->relkind = sl_cat_char(row, 1);
    table->persistence = sl_cat_char(row, 2);
    table->replica_identity = sl_cat_char(row, 3);
    table->options = sl_cat_text(cat, row, 4);
    table->toast_options = sl_cat_text(cat, row, 5);
    table->dropped_options = sl_cat_text(cat, row, 6);
    table->method = sl_cat_text(cat, row, 7);
    table->of_type = sl_follow_names(cat, sl_cat_text(cat, row, 8));
    table->bound = sl_follow_names(cat, sl_cat_text(cat, row, 9));
    table->part_key = sl_follow(cat, SL_FOLLOW_PARTITION, sl_cat_renamed_route(cat, route),
                                sl_cat_text(cat, row, 10), NULL);
    table->row_security = sl_cell_bool(row, 0, 13);
    table->force_row_security = sl_cell_bool(row, 0, 14);
    sl_node *node = sl_cat_add(cat, SL_CLASS_REL, oid, SL_RANK_TABLE, "table", route->src_schema,
                               route->src_table);
    node->identity = sl_route_label(route, cat->out);
    node->route = route;
    node->wanted = node->required = true;
    node->data = table;
    node->emit = sl_cat_emit_table;
    table->node = node;
    if (sl_cell_bool(row, 0, 15))
        sl_cat_detail(cat, node,
                      "without its system column oid (WITH OIDS): nothing reads that "
                      "from a newer server");
    const sl_renamed *renamed = sl_cat_renamed_route(cat, route);
    if (table->of_type && renamed && renamed->last_renamed) {
        sl_cat_detail(cat, node, "not OF %s: its columns have other names", table->of_type);
        table->of_type = NULL;
    }
    if (route->merge_table)
        sl_cat_add_attachment(cat, table);
    sl_cat_alias(cat, SL_CLASS_TYPE, sl_cat_oid(row, 11), node);
    sl_cat_alias(cat, SL_CLASS_TYPE, sl_cat_oid(row, 12), node);
}

static void parent_row(sl_cat *cat, const PGresult *row)
{
    sl_cat_table *table = sl_cat_table_of(cat, sl_cat_oid(row, 0));
    sl_cat_table *parent = sl_cat_table_of(cat, sl_cat_oid(row, 1));
    if (!table)
        return;
    if (!parent) {
        table->flattened = true;
        sl_cat_detail(cat, table->node, "its parent %s is not selected: created without it",
                      PQgetvalue(row, 0, 2));
        return;
    }
    sl_cat_push(cat, &table->parents, &table->n_parents, parent);
    sl_cat_edge(cat, table->node, parent->node);
}

/* --- columns --- */

static const char *destination_column(const sl_route *route, int attnum)
{
    for (size_t i = 0; i < route->n_columns; i++)
        if (route->columns[i].attnum == attnum)
            return route->columns[i].dst_name;
    return NULL;
}

sl_cat_column *sl_cat_column_of(const sl_cat_table *table, int attnum)
{
    for (size_t i = 0; i < table->n_columns; i++)
        if (table->columns[i].attnum == attnum)
            return &table->columns[i];
    return NULL;
}

/* Rows come ordered by table; the array grows by doubling in the arena. */
static sl_cat_column *new_column(sl_cat *cat, sl_cat_table *table)
{
    size_t n = table->n_columns;
    if (n == 0 || (n >= 8 && (n & (n - 1)) == 0)) {
        sl_cat_column *grown = SL_NEW_ARRAY(&cat->arena, sl_cat_column, n ? n * 2 : 8);
        if (n)
            memcpy(grown, table->columns, n * sizeof(*grown));
        table->columns = grown;
    }
    return &table->columns[table->n_columns++];
}

static void column_row(sl_cat *cat, const PGresult *row)
{
    sl_cat_table *table = sl_cat_table_of(cat, sl_cat_oid(row, 0));
    if (!table)
        return;
    sl_cat_column *column = new_column(cat, table);
    column->attnum = (int)sl_cell_int(row, 0, 1);
    column->name = sl_cat_text(cat, row, 2);
    column->dst = destination_column(table->route, column->attnum);
    column->type = sl_follow_names(cat, sl_cat_text(cat, row, 3));
    column->not_null = sl_cell_bool(row, 0, 4);
    column->identity = sl_cat_char(row, 5);
    column->generated = sl_cat_char(row, 6);
    column->is_local = sl_cell_bool(row, 0, 7);
    column->inherited = (int)sl_cell_int(row, 0, 8);
    column->collation = sl_follow_names(cat, sl_cat_text(cat, row, 9));
    column->storage = sl_cat_char(row, 10);
    column->compression = sl_cat_char(row, 11);
    column->statistics = sl_cat_text(cat, row, 12);
    column->options = sl_cat_text(cat, row, 13);
}

static void not_null_row(sl_cat *cat, const PGresult *row)
{
    uint32_t oid = sl_cat_oid(row, 0);
    sl_cat_table *table = sl_cat_table_of(cat, sl_cat_oid(row, 1));
    sl_cat_column *column = table ? sl_cat_column_of(table, (int)sl_cell_int(row, 0, 2)) : NULL;
    if (!column)
        return;
    column->not_null_name = sl_cat_belonging(cat, table->route, sl_cat_text(cat, row, 3));
    column->not_null_no_inherit = sl_cell_bool(row, 0, 4);
    column->not_null_local = sl_cell_bool(row, 0, 5);
    column->not_null_invalid = !sl_cell_bool(row, 0, 6);
    column->not_null_comment = sl_cat_comment(cat, SL_CLASS_CONSTRAINT, oid, 0);
    sl_cat_alias(cat, SL_CLASS_CONSTRAINT, oid, table->node);
}

/* Of the options only the user's: a server may keep marks of its own there (15.20: pg_attver). */
static sl_rc read_columns(sl_cat *cat)
{
    char *sql = sl_sql(
        &cat->arena,
        "SELECT a.attrelid, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), "
        "a.attnotnull,"
        " %s, %s, a.attislocal, a.attinhcount,"
        " CASE WHEN a.attcollation <> t.typcollation THEN (SELECT format('%%I.%%I', n.nspname,"
        "  c.collname) FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace"
        "  WHERE c.oid = a.attcollation) END,"
        " CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage ELSE '' END, %s,"
        " CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END,"
        " (SELECT string_agg(format('%%I=%%L', split_part(o, '=', 1), substr(o, strpos(o, '=') + "
        "1)),"
        "  ', ') FROM unnest(a.attoptions) o"
        "  WHERE split_part(o, '=', 1) IN ('n_distinct', 'n_distinct_inherited'))"
        " FROM unnest(%L::oid[]) s(oid) JOIN pg_attribute a ON a.attrelid = s.oid"
        " JOIN pg_type t ON t.oid = a.atttypid"
        " WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum",
        SL_SINCE(cat, SL_PG_10, "a.attidentity", "''"),
        SL_SINCE(cat, SL_PG_12, "a.attgenerated", "''"),
        SL_SINCE(cat, SL_PG_14, "a.attcompression", "''"), cat->table_oids);
    sl_rc rc = sl_cat_each(cat, "columns", sql, column_row);
    if (rc != SL_OK || cat->version < SL_PG_18)
        return rc;
    return sl_cat_each(cat, "not-null constraints",
                       sl_sql(&cat->arena,
                              "SELECT c.oid, c.conrelid, c.conkey[1], c.conname, c.connoinherit,"
                              " c.conislocal, c.convalidated FROM unnest(%L::oid[]) s(oid)"
                              " JOIN pg_constraint c ON c.conrelid = s.oid WHERE c.contype = 'n'",
                              cat->table_oids),
                       not_null_row);
}

sl_rc sl_cat_read_tables(sl_cat *cat)
{
    char *sql =
        sl_sql(&cat->arena,
               "SELECT c.oid, c.relkind, c.relpersistence, c.relreplident, %s, %s, %s, %s,"
               " CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END,"
               " %s, c.reltype, t.typarray, %s, %s"
               " FROM unnest(%L::oid[]) s(oid) JOIN pg_class c ON c.oid = s.oid"
               " LEFT JOIN pg_class tc ON tc.oid = c.reltoastrelid AND tc.relkind = 't'"
               " LEFT JOIN pg_type t ON t.oid = c.reltype",
               options_sql(cat, "c.reloptions", ""), options_sql(cat, "tc.reloptions", "toast."),
               options_sql(cat, "c.reloptions || tc.reloptions", NULL),
               SL_SINCE(cat, SL_PG_12, "(SELECT amname FROM pg_am WHERE pg_am.oid = c.relam)",
                        "NULL"),
               SL_SINCE(cat, SL_PG_10,
                        "pg_get_expr(c.relpartbound, c.oid), CASE WHEN c.relkind = 'p' THEN"
                        " pg_get_partkeydef(c.oid) END",
                        "NULL, NULL"),
               SL_SINCE(cat, SL_PG_9_5, "c.relrowsecurity, c.relforcerowsecurity", "false, false"),
               SL_SINCE(cat, SL_PG_12, "false", "c.relhasoids"), cat->table_oids);
    sl_rc rc = sl_cat_each(cat, "tables", sql, table_row);
    if (rc == SL_OK)
        rc = sl_cat_each(cat, "inheritance",
                         sl_sql(&cat->arena,
                                "SELECT i.inhrelid, i.inhparent, i.inhparent::regclass"
                                " FROM unnest(%L::oid[]) s(oid)"
                                " JOIN pg_inherits i ON i.inhrelid = s.oid"
                                " ORDER BY i.inhrelid, i.inhseqno",
                                cat->table_oids),
                         parent_row);
    if (rc == SL_OK)
        rc = read_columns(cat);
    return rc;
}

/* --- defaults and generated columns' expressions --- */

static void default_row(sl_cat *cat, const PGresult *row)
{
    sl_cat_table *table = sl_cat_table_of(cat, sl_cat_oid(row, 1));
    sl_cat_column *column = table ? sl_cat_column_of(table, (int)sl_cell_int(row, 0, 2)) : NULL;
    if (!column || !column->dst)
        return;
    sl_cat_default *data = SL_NEW(&cat->arena, sl_cat_default);
    data->table = table;
    data->column = column;
    data->expression = sl_follow(cat, SL_FOLLOW_EXPRESSION, sl_cat_renamed_route(cat, table->route),
                                 sl_cat_text(cat, row, 3), NULL);
    sl_node *node = sl_cat_add_on(cat, SL_CLASS_ATTRDEF, sl_cat_oid(row, 0), SL_RANK_DEFAULT,
                                  "default", table, column->name);
    node->data = data;
    node->wanted = true;
    node->inlined = true;
    node->emit = sl_cat_emit_default;
    column->default_node = node;
}

sl_rc sl_cat_read_defaults(sl_cat *cat)
{
    return sl_cat_each(cat, "column defaults",
                       sl_sql(&cat->arena,
                              "SELECT d.oid, d.adrelid, d.adnum, pg_get_expr(d.adbin, d.adrelid)"
                              " FROM unnest(%L::oid[]) s(oid)"
                              " JOIN pg_attrdef d ON d.adrelid = s.oid ORDER BY d.adrelid, d.adnum",
                              cat->table_oids),
                       default_row);
}

char *sl_cat_column_list(sl_cat *cat, const sl_cat_table *table, const char *attnums,
                         const char *before_last)
{
    int numbers[64];
    size_t n = sl_cat_numbers(attnums, numbers, 64);
    SL_BUF(list);
    for (size_t i = 0; i < n; i++) {
        const sl_cat_column *column = sl_cat_column_of(table, numbers[i]);
        if (!column || !column->dst)
            return NULL;
        sl_sql_add(&list, "%s%s%I", i ? ", " : "", i == n - 1 ? before_last : "", column->dst);
    }
    return sl_arena_strdup(&cat->arena, sl_buf_str(&list));
}
