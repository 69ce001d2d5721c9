/* target.c: reads destination tables from the catalogs in two queries for any number of tables. */
#include "stream/target.h"

#include <stdlib.h>
#include <string.h>

/* Equality in the family of an operator class: btree's strategy 3. A type without an exact default
 * class (varchar, enums, arrays, ranges …) uses one of pg_catalog, whose operator is "=". */
#define EQUALITY                                                                                   \
    "coalesce((SELECT 'OPERATOR(' || quote_ident(n.nspname) || '.' || o.oprname || ')'"            \
    " FROM pg_catalog.pg_opclass oc"                                                               \
    " JOIN pg_catalog.pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3"          \
    "  AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype"                     \
    " JOIN pg_catalog.pg_operator o ON o.oid = ao.amopopr"                                         \
    " JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace"                                    \
    " WHERE %s), 'OPERATOR(pg_catalog.=)')"

static const char columns_sql[] =
    "WITH want(i, nsp, rel) AS (VALUES %s)"
    " SELECT w.i, c.relkind, EXISTS (SELECT 1 FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid"
    "   AND NOT g.tgisinternal AND g.tgenabled IN ('R', 'A')),"
    "  a.attname, pg_catalog.format_type(b.o, -1), pg_catalog.format_type(a.atttypid, -1), b.o, "
    "b.k,"
    "  %s, %s, %s"
    " FROM want w JOIN pg_catalog.pg_namespace s ON s.nspname = w.nsp"
    " JOIN pg_catalog.pg_class c ON c.relnamespace = s.oid AND c.relname = w.rel"
    "  AND c.relkind IN ('r', 'p')"
    " LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
    "  AND NOT a.attisdropped"
    " LEFT JOIN LATERAL (WITH RECURSIVE d(o, k, next) AS ("
    "   SELECT t.oid, t.typtype, t.typbasetype FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid"
    "   UNION ALL SELECT t.oid, t.typtype, t.typbasetype FROM d"
    "   JOIN pg_catalog.pg_type t ON t.oid = d.next WHERE d.k = 'd')"
    "  SELECT o, k FROM d WHERE k <> 'd') b ON true"
    " ORDER BY w.i, a.attnum";

static const char indexes_sql[] =
    "WITH want(i, nsp, rel) AS (VALUES %s)"
    " SELECT w.i, x.indexrelid, ic.relname, NOT x.indimmediate, a.attname, %s"
    " FROM want w JOIN pg_catalog.pg_namespace s ON s.nspname = w.nsp"
    " JOIN pg_catalog.pg_class c ON c.relnamespace = s.oid AND c.relname = w.rel"
    " JOIN pg_catalog.pg_index x ON x.indrelid = c.oid AND x.indisunique AND x.indisvalid"
    "  AND x.indpred IS NULL AND x.indexprs IS NULL"
    " JOIN pg_catalog.pg_class ic ON ic.oid = x.indexrelid"
    " CROSS JOIN LATERAL generate_series(0, x.%s - 1) k(n)"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[k.n]"
    " ORDER BY w.i, NOT x.indisprimary, x.indexrelid, k.n";

static char *copy_cell(sl_arena *arena, const PGresult *res, int row, int col)
{
    return sl_arena_strdup(arena, sl_cell(res, row, col));
}

static char first_char(const PGresult *res, int row, int col)
{
    const char *text = sl_cell(res, row, col);
    return text ? text[0] : 0;
}

/* Rows [from, to) are one table's columns. */
static void fill_columns(sl_arena *arena, sl_target *target, const PGresult *res, int from, int to)
{
    target->relkind = first_char(res, from, 1);
    target->fires = sl_cell_bool(res, from, 2);
    target->only = target->relkind == 'r' ? "ONLY " : "";
    target->columns = SL_NEW_ARRAY(arena, sl_target_column, to - from);
    for (int row = from; row < to && sl_cell(res, row, 3); row++)
        target->columns[target->n_columns++] = (sl_target_column){
            .name = copy_cell(arena, res, row, 3),
            .type = copy_cell(arena, res, row, 4),
            .declared = copy_cell(arena, res, row, 5),
            .base = (uint32_t)sl_cell_int(res, row, 6),
            .kind = first_char(res, row, 7),
            .equals = copy_cell(arena, res, row, 8),
            .identity = first_char(res, row, 9),
            .generated = first_char(res, row, 10) != 0,
        };
}

/* Rows [from, to) are the columns of one table's indexes. */
static void fill_indexes(sl_arena *arena, sl_target *target, const PGresult *res, int from, int to)
{
    target->indexes = SL_NEW_ARRAY(arena, sl_target_index, to - from);
    for (int row = from; row < to;) {
        sl_target_index *index = &target->indexes[target->n_indexes++];
        int end = row;
        while (end < to && strcmp(PQgetvalue(res, end, 1), PQgetvalue(res, row, 1)) == 0)
            end++;
        index->name = copy_cell(arena, res, row, 2);
        index->deferrable = sl_cell_bool(res, row, 3);
        index->columns = SL_NEW_ARRAY(arena, int, end - row);
        index->equals = SL_NEW_ARRAY(arena, const char *, end - row);
        for (; row < end; row++, index->n++) {
            index->columns[index->n] = sl_target_column_index(target, PQgetvalue(res, row, 4));
            index->equals[index->n] = copy_cell(arena, res, row, 5);
        }
    }
}

typedef void (*filler)(sl_arena *arena, sl_target *target, const PGresult *res, int from, int to);

static void fill_each(sl_targets *targets, const PGresult *res, filler fill)
{
    int n = PQntuples(res);
    for (int row = 0, end; row < n; row = end) {
        for (end = row; end < n && sl_cell_int(res, end, 0) == sl_cell_int(res, row, 0);)
            end++;
        fill(&targets->arena, &targets->items[sl_cell_int(res, row, 0)], res, row, end);
    }
}

static sl_rc load(sl_targets *targets, const sl_route *routes, size_t n, sl_pg *pg, sl_error *err)
{
    SL_BUF(want);
    SL_BUF(sql);
    SL_SCRATCH(tmp);
    SL_RESULT(columns);
    SL_RESULT(indexes);
    for (size_t i = 0; i < n; i++) {
        const sl_route *route = &routes[i];
        sl_sql_add(&want, "%s(%zu, %L::name, %L::name)", i ? "," : "", route->index,
                   route->dst_schema, route->dst_table);
        targets->items[route->index] = (sl_target){ .version = pg->version,
                                                    .sql = sl_route_dst_sql(route, &targets->arena),
                                                    .only = "" };
    }
    if (n == 0)
        return SL_OK;
    char *by_type = sl_arena_printf(&tmp, EQUALITY,
                                    "oc.opcmethod = 403 AND oc.opcdefault AND oc.opcintype = b.o");
    sl_buf_printf(&sql, columns_sql, sl_buf_str(&want), by_type,
                  pg->version >= SL_PG_10 ? "a.attidentity" : "NULL",
                  pg->version >= SL_PG_12 ? "nullif(a.attgenerated, '')" : "NULL");
    if (sl_pg_query(pg, sl_buf_str(&sql), &columns, err) != SL_OK)
        return sl_while(err, "reading the destination's tables");
    char *by_class = sl_arena_printf(&tmp, EQUALITY, "oc.oid = x.indclass[k.n]");
    sl_buf_clear(&sql);
    sl_buf_printf(&sql, indexes_sql, sl_buf_str(&want), by_class,
                  pg->version >= SL_PG_11 ? "indnkeyatts" : "indnatts");
    if (sl_pg_query(pg, sl_buf_str(&sql), &indexes, err) != SL_OK)
        return sl_while(err, "reading the destination's indexes");
    fill_each(targets, columns, fill_columns);
    fill_each(targets, indexes, fill_indexes);
    return SL_OK;
}

sl_rc sl_targets_load(const sl_routes *routes, sl_pg *destination, sl_targets **targets,
                      sl_error *err)
{
    sl_targets *t = sl_xcalloc(1, sizeof(*t));
    t->items = SL_NEW_ARRAY(&t->arena, sl_target, routes->n);
    sl_rc rc = load(t, routes->items, routes->n, destination, err);
    if (rc == SL_OK)
        *targets = t;
    else
        sl_targets_free(t);
    return rc;
}

sl_rc sl_targets_reload(sl_targets *targets, const sl_route *route, sl_pg *destination,
                        sl_error *err)
{
    return load(targets, route, 1, destination, err);
}

void sl_targets_free(sl_targets *targets)
{
    if (!targets)
        return;
    sl_arena_free(&targets->arena);
    free(targets);
}

int sl_target_column_index(const sl_target *target, const char *name)
{
    for (int i = 0; i < target->n_columns; i++)
        if (strcmp(target->columns[i].name, name) == 0)
            return i;
    return -1;
}

const sl_target_index *sl_target_find_index(const sl_target *target, const int *columns, int n,
                                            int constant)
{
    for (int i = 0; i < target->n_indexes; i++) {
        const sl_target_index *index = &target->indexes[i];
        int found = 0, constants = 0;
        for (int b = 0; b < index->n; b++)
            constants += index->columns[b] == constant;
        for (int a = 0; a < n; a++)
            for (int b = 0; b < index->n; b++)
                found += columns[a] == index->columns[b];
        if (index->n - constants == n && found == n)
            return index;
    }
    return NULL;
}
