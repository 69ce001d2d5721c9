/* source_rights.c: may the source's role read what is selected? */
#include <string.h>

#include "precheck/internal.h"

static bool is_whole(const sl_check_context *c, const char *schema)
{
    for (size_t i = 0; i < c->run->routes->n_schemas; i++)
        if (strcmp(c->run->routes->schemas[i].src, schema) == 0)
            return c->run->routes->schemas[i].whole;
    return false;
}

/* One finding for the rows first … next of a schema: (schema, name, has usage). */
static void report_unreadable(sl_check_context *c, const PGresult *res, int first, int next,
                              const char *what, const char *sql_kind)
{
    const char *schema = PQgetvalue(res, first, 0), *user = c->run->source.user;
    SL_NAME_LIST(names, 8);
    SL_BUF(sql);
    if (!sl_cell_bool(res, first, 2))
        sl_sql_add(&sql, "GRANT USAGE ON SCHEMA %I TO %I; ", schema, user);
    if (is_whole(c, schema)) {
        sl_sql_add(&sql, "GRANT SELECT ON ALL %sS IN SCHEMA %I TO %I;", sql_kind, schema, user);
    } else {
        sl_sql_add(&sql, "GRANT SELECT ON %s", strcmp(sql_kind, "TABLE") ? "SEQUENCE " : "");
        for (int i = first; i < next; i++)
            sl_sql_add(&sql, "%s%I.%I", i > first ? ", " : "", schema, PQgetvalue(res, i, 1));
        sl_sql_add(&sql, " TO %I;", user);
    }
    for (int i = first; i < next; i++)
        sl_name_list_add(&names, PQgetvalue(res, i, 1));
    sl_report(c, schema,
              sl_say(c, "The role %s may not read %d %s of the schema %s: %s.", user, next - first,
                     what, schema, sl_name_list_text(&names)),
              sql.data);
}

static void report_by_schema(sl_check_context *c, const PGresult *res, const char *what,
                             const char *sql_kind)
{
    for (int first = 0, next; first < PQntuples(res); first = next) {
        for (next = first + 1; next < PQntuples(res) &&
                               strcmp(PQgetvalue(res, first, 0), PQgetvalue(res, next, 0)) == 0;)
            next++;
        report_unreadable(c, res, first, next, what, sql_kind);
    }
}

sl_rc sl_check_select(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    if (sl_check_query(c, "the rights",
                       "SELECT n.nspname, c.relname, has_schema_privilege(n.oid, 'USAGE')"
                       " FROM unnest($1::oid[]) AS o(oid) JOIN pg_class c ON c.oid = o.oid"
                       " JOIN pg_namespace n ON n.oid = c.relnamespace"
                       " WHERE c.relkind = 'r' AND NOT (has_schema_privilege(n.oid, 'USAGE')"
                       " AND has_table_privilege(c.oid, 'SELECT')) ORDER BY 1, 2",
                       &res, err) != SL_OK)
        return err->code;
    report_by_schema(c, res, "tables", "TABLE");
    return SL_OK;
}

/* Sequences of whole schemas, and those that selected tables own: their state is carried over. */
sl_rc sl_check_sequences(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    SL_BUF(whole);
    sl_array_start(&whole);
    for (size_t i = 0; i < c->run->routes->n_schemas; i++)
        if (c->run->routes->schemas[i].whole)
            sl_array_add(&whole, c->run->routes->schemas[i].src);
    sl_array_end(&whole);
    if (sl_check_query(
            c, "the sequences",
            sl_sql(
                &c->arena,
                "SELECT n.nspname, s.relname, has_schema_privilege(n.oid, 'USAGE')"
                " FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace"
                " WHERE CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'SELECT')"
                "  ELSE false END"
                " AND (n.nspname = ANY (%L::text[]) OR s.oid IN (SELECT d.objid FROM pg_depend d"
                "  JOIN unnest($1::oid[]) AS o(oid) ON o.oid = d.refobjid"
                "  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass"
                "  AND d.deptype IN ('a', 'i'))) ORDER BY 1, 2",
                whole.data),
            &res, err) != SL_OK)
        return err->code;
    report_by_schema(c, res, "sequences", "SEQUENCE");
    return SL_OK;
}

sl_rc sl_check_row_security(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    if (c->source->version < SL_PG_9_5)
        return SL_OK;
    if (sl_check_query(c, "the row security",
                       "SELECT c.oid FROM unnest($1::oid[]) AS o(oid) JOIN pg_class c"
                       " ON c.oid = o.oid WHERE c.relkind = 'r' AND c.relrowsecurity"
                       " AND row_security_active(c.oid) ORDER BY c.oid",
                       &res, err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(res); i++) {
        char *label = sl_route_label(sl_check_route(c, res, i, 0), &c->arena);
        sl_report(c, label,
                  sl_say(c,
                         "Row security of %s applies to the role %s: it would hide rows from the "
                         "copy, which is refused rather than done in part.",
                         label, c->run->source.user),
                  sl_sql(&c->arena, "ALTER ROLE %I BYPASSRLS;", c->run->source.user));
    }
    return SL_OK;
}
