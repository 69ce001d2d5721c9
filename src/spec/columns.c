/* columns.c: see columns.h.
 *
 * A name of an exact entry must be a column of its table (and of its partitions, which have the
 * parent's); one of a pattern's entry a column of at least one table. What is in a key cannot be
 * left out: without it no change finds its row in the destination. */
#include "spec/columns.h"

#include <stdlib.h>
#include <string.h>
#include "spec/suggest.h"

static bool listed(const char *const *list, const char *name)
{
    for (; list && *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

bool sl_column_selected(const sl_spec_table *spec, const char *column)
{
    if (!spec)
        return true;
    if (spec->include_columns && !listed(spec->include_columns, column))
        return false;
    return !listed(spec->exclude_columns, column);
}

const sl_left_out *sl_column_left_out(const sl_route *route, int attnum)
{
    for (size_t i = 0; i < route->n_left_out; i++)
        if (route->left_out[i].attnum == attnum)
            return &route->left_out[i];
    return NULL;
}

/* ---- names ---- */

static bool has_column(const sl_route *route, const char *name)
{
    for (size_t i = 0; i < route->n_columns; i++)
        if (strcmp(route->columns[i].name, name) == 0)
            return true;
    for (size_t i = 0; i < route->n_left_out; i++)
        if (strcmp(route->left_out[i].name, name) == 0)
            return true;
    return false;
}

static sl_rc no_column(const sl_spec *spec, const sl_spec_table *t, const sl_route *route,
                       const char *name, sl_error *err)
{
    SL_SCRATCH(tmp);
    size_t n = 0;
    const char **names = SL_NEW_ARRAY(&tmp, const char *, route->n_columns + route->n_left_out + 1);
    const char *found[3];
    char near[256];
    for (size_t i = 0; i < route->n_columns; i++)
        names[n++] = route->columns[i].name;
    for (size_t i = 0; i < route->n_left_out; i++)
        names[n++] = route->left_out[i].name;
    sl_nearest_text(found, sl_nearest(name, names, n, found), near, sizeof(near));
    sl_fail(err, SL_USAGE, "%s:%d: table %s.%s has no column %s", spec->file, t->line,
            route->src_schema, route->src_table, name);
    if (near[0])
        return sl_hint(err, "Did you mean %s? Names are compared as they are, with their case.",
                       near);
    return sl_hint(err, "In psql: \\d %s.%s", route->src_schema, route->src_table);
}

static sl_rc check_names(const sl_spec *spec, const sl_routes *routes, const sl_spec_table *t,
                         const char *const *names, sl_error *err)
{
    for (; names && *names; names++) {
        const sl_route *example = NULL;
        bool found = false;
        for (size_t i = 0; i < routes->n && !found; i++) {
            if (routes->items[i].spec != t)
                continue;
            example = &routes->items[i];
            found = has_column(example, *names);
        }
        if (example && !found)
            return no_column(spec, t, example, *names, err);
    }
    return SL_OK;
}

static sl_rc check_all_names(const sl_spec *spec, const sl_routes *routes, sl_error *err)
{
    for (size_t i = 0; i < spec->n_schemas; i++)
        for (size_t j = 0; j < spec->schemas[i].n_tables; j++) {
            const sl_spec_table *t = &spec->schemas[i].tables[j];
            if (check_names(spec, routes, t, t->include_columns, err) != SL_OK ||
                check_names(spec, routes, t, t->exclude_columns, err) != SL_OK)
                return err->code;
        }
    return SL_OK;
}

/* ---- columns that cannot be left out ---- */

static sl_rc needed(const sl_spec *spec, const sl_route *route, const char *column, const char *why,
                    sl_error *err)
{
    sl_fail(err, SL_USAGE, "%s:%d: column %s of table %s.%s cannot be left out: %s", spec->file,
            route->spec->line, column, route->src_schema, route->src_table, why);
    return sl_hint(err, "Select it, or leave out what needs it.");
}

/* "{1,2}" or "1 2": the first column of the list that is left out. */
static const sl_left_out *first_left_out(const sl_route *route, const char *attnums)
{
    for (const char *p = attnums; *p;) {
        char *end;
        long attnum = strtol(p, &end, 10);
        if (end == p) {
            p++;
            continue;
        }
        const sl_left_out *found = attnum > 0 ? sl_column_left_out(route, (int)attnum) : NULL;
        if (found)
            return found;
        p = end;
    }
    return NULL;
}

/* Rows: table, numbers of columns, why they are needed. */
static sl_rc check_rows(const sl_spec *spec, const sl_routes *routes, const PGresult *res,
                        sl_error *err)
{
    for (int i = 0; i < PQntuples(res); i++) {
        const sl_route *route =
            sl_route_by_oid(routes, (uint32_t)strtoul(PQgetvalue(res, i, 0), NULL, 10));
        const sl_left_out *column = route ? first_left_out(route, PQgetvalue(res, i, 1)) : NULL;
        if (column)
            return needed(spec, route, column->name, PQgetvalue(res, i, 2), err);
    }
    return SL_OK;
}

static sl_rc check_needed(const sl_spec *spec, const sl_routes *routes, const char *oids,
                          sl_pg *source, sl_error *err)
{
    SL_BUF(sql);
    SL_RESULT(res);
    sl_buf_puts(
        &sql, "SELECT i.indrelid, i.indkey::text, CASE WHEN i.indisprimary THEN 'it is part of"
              " the primary key ' ELSE 'it is part of the replica identity ' END || c.relname"
              " FROM unnest($1::oid[]) AS o(oid) JOIN pg_index i ON i.indrelid = o.oid"
              " JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indisprimary OR i.indisreplident");
    if (source->version >= SL_PG_10)
        sl_buf_puts(&sql,
                    " UNION ALL SELECT p.partrelid, p.partattrs::text, 'the table is partitioned by"
                    " it' FROM unnest($1::oid[]) AS o(oid) JOIN pg_partitioned_table p"
                    " ON p.partrelid = o.oid");
    if (source->version >= SL_PG_12)
        sl_buf_puts(&sql,
                    " UNION ALL SELECT f.adrelid, d.refobjsubid::text, 'the generated column ' ||"
                    " a.attname || ' is computed from it' FROM unnest($1::oid[]) AS o(oid)"
                    " JOIN pg_attrdef f ON f.adrelid = o.oid JOIN pg_attribute a"
                    " ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated <> ''"
                    " JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid"
                    " AND d.refclassid = 'pg_class'::regclass AND d.refobjid = f.adrelid"
                    " AND d.refobjsubid NOT IN (0, f.adnum)"
                    " WHERE (a.attrelid, a.attnum) NOT IN (SELECT * FROM unnest($2::oid[],"
                    " $3::int[]))");
    SL_BUF(tables);
    SL_BUF(numbers);
    sl_array_start(&tables);
    sl_array_start(&numbers);
    for (size_t i = 0; i < routes->n; i++)
        for (size_t c = 0; c < routes->items[i].n_left_out; c++) {
            sl_array_add_oid(&tables, routes->items[i].oid);
            sl_array_add_oid(&numbers, (uint32_t)routes->items[i].left_out[c].attnum);
        }
    sl_array_end(&tables);
    sl_array_end(&numbers);
    const char *all[] = { oids, tables.data, numbers.data };
    if (sl_pg_query_params(source, sql.data, source->version >= SL_PG_12 ? 3 : 1, all, &res, err) !=
        SL_OK)
        return sl_while(err, "reading what needs the columns that are left out");
    return check_rows(spec, routes, res, err);
}

sl_rc sl_columns_check(const sl_spec *spec, const sl_routes *routes, sl_pg *source, sl_error *err)
{
    SL_BUF(oids);
    size_t n = 0;
    if (check_all_names(spec, routes, err) != SL_OK)
        return err->code;
    sl_array_start(&oids);
    for (size_t i = 0; i < routes->n; i++) {
        const sl_route *route = &routes->items[i];
        if (route->n_left_out == 0)
            continue;
        if (route->n_columns == 0)
            return sl_fail(err, SL_USAGE, "%s:%d: no column of table %s.%s is left", spec->file,
                           route->spec->line, route->src_schema, route->src_table);
        sl_array_add_oid(&oids, route->oid);
        n++;
    }
    sl_array_end(&oids);
    return n > 0 ? check_needed(spec, routes, oids.data, source, err) : SL_OK;
}
