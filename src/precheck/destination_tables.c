/* destination_tables.c: schemas and tables of the destination: what is there, and what we may do to
 * it.
 *
 * Tables are looked up by name for all routes in one query per check. What this task has created
 * itself is never in the way (c->created). */
#include <string.h>

#include "precheck/internal.h"

/* `select` begins a query over w (s, t: schema and table; i: the route's index plus one), joined
 * with n (pg_namespace) and c (pg_class); the first column of the result must be w.i. */
static sl_rc ask_tables(sl_check_context *c, const char *what, const char *select, const char *more,
                        PGresult **res, sl_error *err)
{
    SL_BUF(schemas);
    SL_BUF(tables);
    sl_array_start(&schemas);
    sl_array_start(&tables);
    for (size_t i = 0; i < c->run->routes->n; i++) {
        sl_array_add(&schemas, c->run->routes->items[i].dst_schema);
        sl_array_add(&tables, c->run->routes->items[i].dst_table);
    }
    sl_array_end(&schemas);
    sl_array_end(&tables);
    const char *values[] = { schemas.data, tables.data };
    char *sql = sl_sql(&c->arena,
                       "%s FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w(s, t, i)"
                       " JOIN pg_namespace n ON n.nspname = w.s"
                       " JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.t %s",
                       select, more);
    if (sl_pg_query_params(c->destination, sql, 2, values, res, err) != SL_OK)
        return sl_while(err, "reading %s of the destination", what);
    return SL_OK;
}

static const sl_route *route_at(const sl_check_context *c, const PGresult *res, int row)
{
    return &c->run->routes->items[sl_cell_int(res, row, 0) - 1];
}

static bool is_ours(const sl_check_context *c, const char *label)
{
    return sl_map_get(c->created, label, strlen(label)) != NULL;
}

static bool creates(const sl_check_context *c)
{
    return c->run->spec->stages & SL_STAGE_SCHEMA;
}

/* ---- schemas ---- */

static void judge_schema(sl_check_context *c, const char *schema, const PGresult *res, int row,
                         bool may_create)
{
    const char *user = c->run->destination.user, *database = c->run->destination.database;
    if (row < 0 && !creates(c))
        sl_report(c, schema, sl_say(c, "The destination has no schema %s.", schema),
                  sl_sql(&c->arena, "CREATE SCHEMA %I AUTHORIZATION %I;", schema, user));
    else if (row < 0 && !may_create)
        sl_report(c, schema,
                  sl_say(c, "The destination has no schema %s, and the role %s may not create one.",
                         schema, user),
                  sl_sql(&c->arena, "GRANT CREATE ON DATABASE %I TO %I;", database, user));
    else if (row >= 0 && (!sl_cell_bool(res, row, 1) || (creates(c) && !sl_cell_bool(res, row, 2))))
        sl_report(c, schema,
                  sl_say(c, "The role %s may not %s the schema %s of the destination.", user,
                         sl_cell_bool(res, row, 1) ? "create tables in" : "use", schema),
                  sl_sql(&c->arena,
                         creates(c) ? "GRANT USAGE, CREATE ON SCHEMA %I TO %I;"
                                    : "GRANT USAGE ON SCHEMA %I TO %I;",
                         schema, user));
}

sl_rc sl_check_schemas(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    SL_RESULT(create);
    if (sl_check_ask(c, c->destination, "the schemas",
                     "SELECT nspname, has_schema_privilege(oid, 'USAGE'),"
                     " has_schema_privilege(oid, 'CREATE') FROM pg_namespace",
                     &res, err) != SL_OK ||
        sl_check_ask(c, c->destination, "the rights",
                     "SELECT has_database_privilege(current_database(), 'CREATE')", &create,
                     err) != SL_OK)
        return err->code;
    for (size_t i = 0; i < c->run->routes->n_schemas; i++) {
        const char *schema = c->run->routes->schemas[i].dst;
        int row = PQntuples(res) - 1;
        while (row >= 0 && strcmp(PQgetvalue(res, row, 0), schema) != 0)
            row--;
        judge_schema(c, schema, res, row, sl_cell_bool(create, 0, 0));
    }
    return SL_OK;
}

/* ---- what is there already ---- */

static const struct {
    char relkind;
    const char *text, *sql;
} kinds[] = {
    { 'r', "table", "TABLE" },
    { 'p', "partitioned table", "TABLE" },
    { 'v', "view", "VIEW" },
    { 'm', "materialized view", "MATERIALIZED VIEW" },
    { 'S', "sequence", "SEQUENCE" },
    { 'i', "index", "INDEX" },
    { 'I', "partitioned index", "INDEX" },
    { 'f', "foreign table", "FOREIGN TABLE" },
    { 'c', "composite type", "TYPE" },
};

static void report_conflict(sl_check_context *c, const sl_route *route, const char *label,
                            char relkind)
{
    const char *text = "relation", *sql = "TABLE";
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i].relkind == relkind) {
            text = kinds[i].text;
            sql = kinds[i].sql;
        }
    bool table = relkind == 'r' || relkind == 'p';
    sl_report(c, label,
              sl_say(c, "The destination already has a %s %s.%s, which this task did not create.",
                     text, route->dst_schema, route->dst_table),
              sl_sql(&c->arena, "DROP %s %I.%I;%s", sql, route->dst_schema, route->dst_table,
                     table ? "   -- if nobody needs it; or in the specification, to keep its rows: "
                             "conflict: proceed"
                           : "   -- if nobody needs it"));
}

sl_rc sl_check_conflicts(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    if (ask_tables(c, "the tables", "SELECT w.i, c.relkind", "ORDER BY 1", &res, err) != SL_OK)
        return err->code;
    bool proceed = c->run->spec->conflict == SL_CONFLICT_PROCEED;
    for (int i = 0; i < PQntuples(res); i++) {
        const sl_route *route = route_at(c, res, i);
        char *label = sl_route_label(route, &c->arena), relkind = PQgetvalue(res, i, 1)[0];
        if (!is_ours(c, label) && !(proceed && (relkind == 'r' || relkind == 'p')))
            report_conflict(c, route, label, relkind);
    }
    return SL_OK;
}

sl_rc sl_check_tables_exist(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    if (creates(c))
        return SL_NOT_FOUND;
    if (ask_tables(c, "the tables", "SELECT w.i", "WHERE c.relkind IN ('r', 'p')", &res, err) !=
        SL_OK)
        return err->code;
    bool *there = SL_NEW_ARRAY(&c->arena, bool, c->run->routes->n + 1);
    for (int i = 0; i < PQntuples(res); i++)
        there[sl_cell_int(res, i, 0) - 1] = true;
    for (size_t i = 0; i < c->run->routes->n; i++) {
        const sl_route *route = &c->run->routes->items[i];
        if (there[i])
            continue;
        sl_report(c, sl_route_label(route, &c->arena),
                  sl_say(c,
                         "The destination has no table %s.%s, and the stage schema, which would "
                         "create it, is not chosen.",
                         route->dst_schema, route->dst_table),
                  "stages: [schema, full, incremental]");
    }
    return SL_OK;
}

/* Without the stage schema, `report` means: the tables are empty (requirements of a copy). */
sl_rc sl_check_tables_empty(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    if (creates(c) || c->run->spec->conflict == SL_CONFLICT_PROCEED)
        return SL_NOT_FOUND;
    if (ask_tables(c, "the tables", "SELECT w.i",
                   "WHERE c.relkind = 'r' AND pg_relation_size(c.oid) > 0"
                   " AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1",
                   &res, err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(res); i++) {
        SL_RESULT(row);
        const sl_route *route = route_at(c, res, i);
        char *label = sl_route_label(route, &c->arena), *table = sl_route_dst_sql(route, &c->arena);
        if (is_ours(c, label))
            continue;
        if (sl_check_ask(c, c->destination, label,
                         sl_sql(&c->arena, "SELECT 1 FROM ONLY %s LIMIT 1", table), &row,
                         err) != SL_OK)
            return err->code;
        if (PQntuples(row) > 0)
            sl_report(
                c, label,
                sl_say(c,
                       "The table %s of the destination has rows, which may collide with those "
                       "of the source.",
                       label),
                sl_sql(&c->arena,
                       "TRUNCATE %s;   -- if nobody needs its rows; or in the "
                       "specification, to keep them: conflict: proceed",
                       table));
    }
    return SL_OK;
}

/* ---- columns ---- */

static sl_rc report_column(sl_check_context *c, const sl_route *route, const sl_column *column,
                           const char *there, sl_error *err)
{
    char *label = sl_route_label(route, &c->arena), *type;
    char *object = sl_say(c, "%s.%s", label, column->name);
    sl_rc rc = sl_pg_value(c->source,
                           sl_sql(&c->arena,
                                  "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
                                  " WHERE attrelid = %u AND attnum = %d",
                                  route->oid, column->attnum),
                           &c->arena, &type, err);
    if (rc != SL_OK)
        return rc == SL_NOT_FOUND ? SL_OK : rc;
    char *table = sl_route_dst_sql(route, &c->arena);
    if (!there && c->run->spec->conflict == SL_CONFLICT_PROCEED && !column->in_relation_key)
        sl_report_warning(c, object,
                          sl_say(c,
                                 "The destination's table %s.%s has no column %s: it is not "
                                 "synchronized.",
                                 route->dst_schema, route->dst_table, column->dst_name),
                          sl_sql(&c->arena, "ALTER TABLE %s ADD COLUMN %I %s;", table,
                                 column->dst_name, type));
    else if (!there)
        sl_report(c, object,
                  sl_say(c, "The destination's table %s.%s has no column %s.", route->dst_schema,
                         route->dst_table, column->dst_name),
                  sl_sql(&c->arena, "ALTER TABLE %s ADD COLUMN %I %s;", table, column->dst_name,
                         type));
    else
        sl_report_warning(c, object,
                          sl_say(c,
                                 "The column %s is %s on the source and %s in the destination: a "
                                 "value that does not fit stops the table.",
                                 column->name, column->type_sql, there),
                          sl_sql(&c->arena, "ALTER TABLE %s ALTER COLUMN %I TYPE %s;", table,
                                 column->dst_name, type));
    return SL_OK;
}

/* A type of a schema that has another name here is compared without it. */
static bool same_type(const sl_check_context *c, const char *source, const char *destination)
{
    if (strcmp(source, destination) == 0)
        return true;
    const char *own = strrchr(source, '.'), *other = strrchr(destination, '.');
    return c->run->routes->mapped && own && other && strcmp(own, other) == 0;
}

/* The destination's columns of the tables that were there before: (route, name, type). */
static sl_rc compare_columns(sl_check_context *c, const sl_route *route, const PGresult *res,
                             int first, int next, sl_error *err)
{
    for (size_t i = 0; i < route->n_columns; i++) {
        const sl_column *column = &route->columns[i];
        int row = first;
        while (row < next && strcmp(PQgetvalue(res, row, 1), column->dst_name) != 0)
            row++;
        bool same = row < next && same_type(c, column->type_sql, PQgetvalue(res, row, 2));
        if (same || (column->generated && row == next))
            continue;
        const char *there = row < next ? PQgetvalue(res, row, 2) : NULL;
        if (report_column(c, route, column, there, err) != SL_OK)
            return err->code;
    }
    return SL_OK;
}

sl_rc sl_check_columns(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    if (ask_tables(
            c, "the columns", "SELECT w.i, a.attname, format_type(a.atttypid, -1)",
            "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
            " WHERE c.relkind IN ('r', 'p') ORDER BY w.i, a.attnum",
            &res, err) != SL_OK)
        return err->code;
    for (int first = 0, next; first < PQntuples(res); first = next) {
        const sl_route *route = route_at(c, res, first);
        for (next = first; next < PQntuples(res) && route_at(c, res, next) == route;)
            next++;
        bool in_the_way = creates(c) && c->run->spec->conflict == SL_CONFLICT_REPORT;
        if (is_ours(c, sl_route_label(route, &c->arena)) || in_the_way)
            continue; /* what is in the way is destination.conflicts' business */
        if (compare_columns(c, route, res, first, next, err) != SL_OK)
            return err->code;
    }
    return SL_OK;
}

/* ---- rights and triggers ---- */

sl_rc sl_check_table_rights(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    if (ask_tables(c, "the rights", "SELECT w.i",
                   "WHERE c.relkind IN ('r', 'p') AND has_schema_privilege(n.oid, 'USAGE')"
                   " AND NOT (has_table_privilege(c.oid, 'SELECT')"
                   "  AND has_table_privilege(c.oid, 'INSERT')"
                   "  AND has_table_privilege(c.oid, 'UPDATE')"
                   "  AND has_table_privilege(c.oid, 'DELETE')"
                   "  AND has_table_privilege(c.oid, 'TRUNCATE')) ORDER BY 1",
                   &res, err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(res); i++) {
        const sl_route *route = route_at(c, res, i);
        sl_report(c, sl_route_label(route, &c->arena),
                  sl_say(c, "The role %s may not write to the destination's table %s.%s.",
                         c->run->destination.user, route->dst_schema, route->dst_table),
                  sl_sql(&c->arena, "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON %s TO %I;",
                         sl_route_dst_sql(route, &c->arena), c->run->destination.user));
    }
    return SL_OK;
}

sl_rc sl_check_triggers(sl_check_context *c, sl_error *err)
{
    SL_RESULT(role);
    SL_RESULT(res);
    char *can = sl_sql(&c->arena, "SELECT current_setting('is_superuser') = 'on'%s",
                       c->destination->version >= SL_PG_15
                           ? " OR has_parameter_privilege('session_replication_role', 'SET')"
                           : "");
    if (sl_check_ask(c, c->destination, "the rights", can, &role, err) != SL_OK)
        return err->code;
    bool replica = sl_cell_bool(role, 0, 0);
    if (ask_tables(c, "the triggers", "SELECT w.i, g.tgname",
                   replica ? "JOIN pg_trigger g ON g.tgrelid = c.oid WHERE NOT g.tgisinternal"
                             " AND g.tgenabled IN ('A', 'R') ORDER BY 1, 2"
                           : "JOIN pg_trigger g ON g.tgrelid = c.oid WHERE NOT g.tgisinternal"
                             " AND g.tgenabled IN ('A', 'O') ORDER BY 1, 2",
                   &res, err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(res); i++) {
        const sl_route *route = route_at(c, res, i);
        char *label = sl_route_label(route, &c->arena);
        sl_report(
            c, sl_say(c, "%s %s", label, PQgetvalue(res, i, 1)),
            sl_say(c, "The trigger %s of the destination's table %s fires on synchronized rows%s.",
                   PQgetvalue(res, i, 1), label,
                   replica ? "" : ", for the role may not set session_replication_role"),
            sl_sql(&c->arena, "ALTER TABLE %s DISABLE TRIGGER %I;",
                   sl_route_dst_sql(route, &c->arena), PQgetvalue(res, i, 1)));
    }
    return SL_OK;
}

sl_rc sl_check_other_tasks(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    const char *schema = c->run->spec->state_schema;
    if (!c->state_exists)
        return SL_OK;
    char *more =
        sl_sql(&c->arena,
               "JOIN %I.tables x ON x.dst_schema = w.s AND x.dst_table = w.t"
               " AND x.task_id <> %L JOIN %I.task k ON k.task_id = x.task_id ORDER BY 1, 2",
               schema, c->run->id, schema);
    if (ask_tables(c, "the other tasks", "SELECT w.i, k.name, k.task_id", more, &res, err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(res); i++) {
        char *label = sl_route_label(route_at(c, res, i), &c->arena);
        sl_report(
            c, label,
            sl_say(c,
                   "The task %s (id %s) writes to the destination's table %s too: rows with the "
                   "same key overwrite each other.",
                   PQgetvalue(res, i, 1), PQgetvalue(res, i, 2), label),
            "Release one of the tasks, or take the table out of one of the specifications.");
    }
    return SL_OK;
}
