/* renamed.c: places columns of the past among those of the present.
 *
 * Columns get ascending numbers that never change, and a relation lists its columns in that order.
 * So a column that is there now must have been in the relation if its number is below that of
 * another one that was. What cannot be placed so was renamed.
 *
 * What it cannot tell: a column that was dropped and made again under the same name. */
#include "stream/renamed.h"

#include <string.h>

#include "spec/columns.h"

bool sl_renamed_same(const sl_relation *rel)
{
    const sl_route *route = rel->route;
    uint16_t at = 0;
    for (size_t i = 0; i < route->n_columns; i++) {
        bool here =
            at < rel->n_columns && strcmp(rel->columns[at].name, route->columns[i].name) == 0;
        if (!here && !route->columns[i].generated)
            return false;
        at += here;
    }
    return at == rel->n_columns;
}

static bool dropped(const PGresult *res, int row)
{
    return sl_cell_bool(res, row, 1);
}

/* Would a relation of a time when this column was there list it? */
static bool listed(const sl_run *run, const sl_route *route, const PGresult *res, int row)
{
    return !dropped(res, row) && !sl_cell_bool(res, row, 2) && !run->spec->publication &&
           sl_column_selected(route->spec, sl_cell(res, row, 0));
}

static int find(const PGresult *res, const char *name)
{
    for (int row = 0; row < PQntuples(res); row++)
        if (!dropped(res, row) && strcmp(sl_cell(res, row, 0), name) == 0)
            return row;
    return -1;
}

/* The first column that cannot be placed; NULL: all can. */
static const char *misplaced(const sl_run *run, const sl_relation *rel, const PGresult *res)
{
    int n = PQntuples(res), at = 0;
    for (uint16_t i = 0; i < rel->n_columns; i++) {
        int row = find(res, rel->columns[i].name);
        int end = row;
        if (row < 0) /* dropped since: one of those that are gone */
            for (end = at; end < n && !dropped(res, end);)
                end++;
        if (end < at || end >= n)
            return rel->columns[i].name;
        for (; at < end; at++)
            if (listed(run, rel->route, res, at))
                return row < 0 ? rel->columns[i].name : sl_cell(res, at, 0);
        at = end + 1;
    }
    return NULL;
}

sl_rc sl_renamed_check(const sl_run *run, sl_pg *source, const sl_relation *rel, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const char *sql =
        sl_sql(&tmp,
               "SELECT attname, attisdropped, %s FROM pg_catalog.pg_attribute"
               " WHERE attrelid = %u AND attnum > 0 ORDER BY attnum",
               source->version >= SL_PG_12 ? "attgenerated <> ''" : "false", rel->oid);
    if (sl_pg_query(source, sql, &res, err) != SL_OK)
        return sl_while(err, "reading the source's columns");
    const char *column = PQntuples(res) > 0 ? misplaced(run, rel, res) : NULL;
    if (!column)
        return SL_OK;
    sl_fail(err, SL_FAILED,
            "columns of table %s were renamed on the source after changes that are still on their "
            "way (at %s), so that these cannot be told to which columns they belong",
            sl_route_label(rel->route, &tmp), column);
    return sl_hint(err, "Give the destination's table the names that the source's has now.");
}
