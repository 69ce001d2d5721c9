/* resolve.c: by name and OID, and where they disagree by what the source's catalog says now.
 *
 * The stream speaks of the past: a relation may have been renamed, dropped or attached since. */
#include "stream/resolve.h"

#include <string.h>

static sl_rc query(sl_run *run, sl_pg **source, const char *sql, PGresult **res, sl_error *err)
{
    if (!*source && sl_run_connect(run, SL_SOURCE, "source catalog", 0, source, err) != SL_OK)
        return err->code;
    if (sl_pg_query(*source, sql, res, err) != SL_OK)
        return sl_while(err, "asking the source about a table of the stream");
    return SL_OK;
}

/* A name that no route has, of a table that one has. */
static sl_rc known_by_oid(sl_run *run, sl_pg **source, const sl_relation *rel,
                          const sl_route *known, const sl_route **route, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const char *sql = sl_sql(&tmp,
                             "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
                             " ON n.oid = c.relnamespace WHERE c.oid = %u AND n.nspname = %L"
                             " AND c.relname = %L",
                             rel->oid, known->src_schema, known->src_table);
    if (query(run, source, sql, &res, err) != SL_OK)
        return err->code;
    if (PQntuples(res) > 0) { /* renamed before the routes were read: the old name is the past */
        *route = known;
        return SL_OK;
    }
    sl_fail(err, SL_FAILED, "table %s.%s was renamed to %s.%s on the source", known->src_schema,
            known->src_table, rel->schema, rel->table);
    return sl_hint(err,
                   "Rename it back, or put the new name into the specification (with `rename: "
                   "%s`, so that its rows go on into the same table), and run again.",
                   known->dst_table);
}

/* A partition of a selected table that was not there when the routes were read? Then they are read
 * anew, once. */
static sl_rc unknown(sl_run *run, sl_pg **source, const sl_relation *rel, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    const char *sql = sl_sql(&tmp,
                             "WITH RECURSIVE up(oid) AS (SELECT %u::pg_catalog.oid UNION ALL"
                             " SELECT i.inhparent FROM up JOIN pg_catalog.pg_inherits i"
                             " ON i.inhrelid = up.oid) SELECT oid FROM up WHERE oid <> %u",
                             rel->oid, rel->oid);
    if (query(run, source, sql, &res, err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(res); i++) {
        const sl_route *root = sl_route_by_oid(run->routes, (uint32_t)sl_cell_int(res, i, 0));
        if (!root || root->relkind != 'p')
            continue;
        if (!run->asked)
            run->asked = sl_map_new();
        if (sl_map_get(run->asked, &rel->oid, sizeof(rel->oid)))
            return SL_OK; /* the routes were read since: it is left out */
        sl_map_put(run->asked, &rel->oid, sizeof(rel->oid), run);
        run->new_tables = true;
        return sl_fail(err, SL_TRANSIENT, "%s.%s is a new partition of %s.%s", rel->schema,
                       rel->table, root->src_schema, root->src_table);
    }
    return SL_OK;
}

sl_rc sl_resolve(sl_run *run, sl_pg **source, const sl_relation *rel, const sl_route **route,
                 sl_error *err)
{
    *route = sl_route_find(run->routes, rel->schema, rel->table);
    if (*route)
        return SL_OK; /* of another OID: the applier's to say (sl_bind) */
    const sl_route *known = sl_route_by_oid(run->routes, rel->oid);
    if (known)
        return known_by_oid(run, source, rel, known, route, err);
    return unknown(run, source, rel, err);
}
