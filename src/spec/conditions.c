/* conditions.c: asks the source whether it understands the routes' conditions, what their functions
 * are, and how many rows they leave.
 *
 * A function's kind is told by its name and number of arguments: all that a call could mean must be
 * usable. Built-in functions that are stable only because they follow TimeZone, DateStyle or the
 * encoding are taken, for those are the same in all our sessions; every other stable function may
 * look at tables or the clock. Operators without a schema are pg_catalog's, which depend on nothing
 * else either. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "spec/columns.h"
#include "spec/condition.h"
#include "spec/suggest.h"

/* Of pg_catalog. timezone: its variant for timetz is called volatile by older servers. */
#define FOLLOWS_SETTINGS                                                                           \
    "'age','array_to_string','concat','concat_ws','date','date_add','date_bin','date_part',"       \
    "'date_subtract','date_trunc','extract','format','json_build_array','json_build_object',"      \
    "'jsonb_build_array','jsonb_build_object','make_timestamptz','overlaps','quote_literal',"      \
    "'quote_nullable','row_to_json','text','time','timestamp','timestamptz','timetz','timezone',"  \
    "'to_char','to_date','to_json','to_jsonb','to_number','to_timestamp'"

typedef struct checker {
    const sl_spec *spec;
    sl_pg *pg;
    sl_error *err;
} checker;

static sl_rc refuse(const checker *k, const sl_route *r, const char *text, const char *hint)
{
    sl_fail(k->err, SL_USAGE, "%s:%d: where of table %s.%s: %s", k->spec->file, r->spec->line,
            r->src_schema, r->src_table, text);
    return sl_hint(k->err, "%s", hint);
}

/* ---- columns ---- */

/* Of the source's table, whether it is selected or not. */
static bool find_column(const sl_route *r, const char *name, bool *generated)
{
    for (size_t i = 0; i < r->n_columns; i++)
        if (strcmp(r->columns[i].name, name) == 0) {
            *generated = r->columns[i].generated;
            return true;
        }
    for (size_t i = 0; i < r->n_left_out; i++)
        if (strcmp(r->left_out[i].name, name) == 0) {
            *generated = r->left_out[i].generated;
            return true;
        }
    return false;
}

static const char *column_problem(const sl_route *r, const char *name, sl_arena *arena)
{
    bool generated;
    if (!find_column(r, name, &generated))
        return sl_arena_printf(arena, "the table has no column %s", name);
    if (generated)
        return sl_arena_printf(arena,
                               "column %s is generated, and generated columns do not come with "
                               "changes",
                               name);
    return NULL;
}

static sl_rc check_columns(const checker *k, const sl_route *r)
{
    SL_SCRATCH(tmp);
    for (const char *const *name = r->condition->columns; *name; name++) {
        const char *problem = column_problem(r, *name, &tmp);
        if (problem)
            return refuse(
                k, r, problem,
                "A condition uses columns of the source's table, under their names there; "
                "also columns that are not selected. Texts stand in 'single quotes'.");
    }
    return SL_OK;
}

/* ---- what the server says ---- */

/* EXPLAIN locks the table, and a migration may hold it for hours: then not now. */
static sl_rc plan_soon(sl_pg *pg, const char *sql, PGresult **res, sl_error *err)
{
    sl_error ignored = SL_ERROR_INIT;
    bool own = PQtransactionStatus(pg->conn) == PQTRANS_IDLE;
    if (own && sl_pg_exec(pg, "BEGIN READ ONLY; SET LOCAL lock_timeout = '2s'", err) != SL_OK)
        return err->code;
    sl_rc rc = sl_pg_query(pg, sql, res, err);
    if (own)
        sl_pg_exec(pg, "ROLLBACK", &ignored);
    return rc;
}

/* EXPLAIN plans the condition, which finds everything that is wrong with it, and estimates. */
static sl_rc explain(const checker *k, sl_route *r)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    sl_error why = SL_ERROR_INIT;
    r->where_rows = -1;
    const char *sql =
        sl_sql(&tmp, "EXPLAIN (FORMAT JSON) SELECT FROM %s%s WHERE %s",
               r->relkind == 'p' ? "" : "ONLY ", sl_route_src_sql(r, &tmp), r->condition->sql);
    if (plan_soon(k->pg, sql, &res, &why) != SL_OK) {
        if (strcmp(why.sqlstate, "55P03") == 0)
            return SL_OK; /* a migration holds the table: its condition was checked when it began */
        if (why.code == SL_FAILED && strncmp(why.sqlstate, "42501", 5) != 0)
            return refuse(k, r, why.message,
                          why.hint[0]
                              ? why.hint
                              : "The source has to understand the condition. Names outside of "
                                "pg_catalog need their schema: public.f(x), 'a'::public.mood.");
        *k->err = why;
        return sl_while(k->err, "checking the condition of table %s.%s", r->src_schema,
                        r->src_table);
    }
    json_t *plan = json_loads(PQgetvalue(res, 0, 0), 0, NULL);
    const json_t *top = json_object_get(json_array_get(plan, 0), "Plan");
    r->where_rows = json_number_value(json_object_get(top, "Plan Rows"));
    json_decref(plan);
    return SL_OK;
}

/* Everything that one of the calls could mean, with what is wrong with it. */
static const char functions_sql[] =
    "SELECT p.oid::regprocedure, CASE WHEN p.proretset THEN 'returns a set'"
    " WHEN %s THEN 'is an aggregate or window function'"
    " WHEN p.provolatile = 'v' THEN 'is volatile' ELSE 'is not immutable' END"
    " FROM unnest($1::text[], $2::text[], $3::int[], $4::bool[]) AS u(nsp, name, n, op)"
    " JOIN pg_namespace s ON s.nspname = u.nsp"
    " JOIN pg_proc p ON p.pronamespace = s.oid AND p.proname = u.name AND NOT u.op"
    "  AND (p.provariadic <> 0 OR u.n BETWEEN p.pronargs - p.pronargdefaults AND p.pronargs)"
    " WHERE p.proretset OR %s OR (p.provolatile <> 'i' AND NOT (p.oid < 16384 AND p.proname IN "
    "(" FOLLOWS_SETTINGS ") AND (p.proname <> 'age' OR u.n = 2)))"
    " UNION ALL SELECT o.oprcode::regprocedure, 'is not immutable'"
    " FROM unnest($1::text[], $2::text[], $3::int[], $4::bool[]) AS u(nsp, name, n, op)"
    " JOIN pg_namespace s ON s.nspname = u.nsp"
    " JOIN pg_operator o ON o.oprnamespace = s.oid AND o.oprname = u.name AND u.op"
    " JOIN pg_proc p ON p.oid = o.oprcode"
    " WHERE p.provolatile <> 'i' AND p.oid >= 16384 LIMIT 1";

static sl_rc check_functions(const checker *k, const sl_route *r)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    SL_BUF(schemas);
    SL_BUF(names);
    SL_BUF(counts);
    SL_BUF(operators);
    sl_buf *columns[] = { &schemas, &names, &counts, &operators };
    const char *values[4];
    const sl_condition *c = r->condition;
    for (size_t i = 0; i < 4; i++)
        sl_array_start(columns[i]);
    for (size_t i = 0; i < c->n_named; i++) {
        sl_array_add(&schemas, c->named[i].schema ? c->named[i].schema : "pg_catalog");
        sl_array_add(&names, c->named[i].name);
        sl_array_add(&counts, sl_arena_printf(&tmp, "%d", c->named[i].n_args));
        sl_array_add(&operators, c->named[i].is_operator ? "t" : "f");
    }
    for (size_t i = 0; i < 4; i++) {
        sl_array_end(columns[i]);
        values[i] = columns[i]->data;
    }
    const char *kind =
        k->pg->version >= SL_PG_11 ? "p.prokind IN ('a', 'w')" : "(p.proisagg OR p.proiswindow)";
    if (sl_pg_query_params(k->pg, sl_arena_printf(&tmp, functions_sql, kind, kind), 4, values, &res,
                           k->err) != SL_OK)
        return sl_while(k->err, "looking up the functions of a condition");
    if (PQntuples(res) == 0)
        return SL_OK;
    return refuse(k, r,
                  sl_arena_printf(&tmp, "%s %s", PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1)),
                  "The same row must give the same result at any time: use immutable functions.");
}

sl_rc sl_conditions_check(const sl_spec *spec, sl_routes *routes, sl_pg *source, sl_error *err)
{
    checker k = { spec, source, err };
    const sl_condition *last = NULL;
    for (size_t i = 0; i < routes->n; i++) {
        sl_route *r = &routes->items[i];
        if (!r->condition)
            continue;
        if (check_columns(&k, r) != SL_OK || explain(&k, r) != SL_OK ||
            (r->condition != last && check_functions(&k, r) != SL_OK))
            return err->code;
        last = r->condition;
    }
    return SL_OK;
}
