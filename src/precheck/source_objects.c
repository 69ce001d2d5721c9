/* source_objects.c: checks of the selected tables and of what lies beside them. */
#include <string.h>

#include "precheck/internal.h"
#include "schema/schema.h"
#include "spec/check.h"

/* ---- row identity ---- */

static const char *why_no_identity(const sl_route *route)
{
    if (route->replica_identity == 'n')
        return "its REPLICA IDENTITY is NOTHING";
    if (route->replica_identity == 'f')
        return "its REPLICA IDENTITY FULL does not go with its virtual generated columns";
    if (route->replica_identity == 'i')
        return "the index of its REPLICA IDENTITY is gone";
    return route->key_deferrable ? "its primary key is deferrable, which is no replica identity"
                                 : "it has no primary key";
}

static bool lacks_identity(const sl_route *route)
{
    return route->relkind == 'r' && route->persistence == 'p' &&
           route->identity == SL_IDENTITY_NOTHING &&
           (route->operations & (SL_OP_UPDATE | SL_OP_DELETE));
}

/* index: one that can serve, or NULL. */
static void report_identity(sl_check_context *c, const sl_route *route, const char *index,
                            bool primary)
{
    char *label = sl_route_label(route, &c->arena), *table = sl_route_src_sql(route, &c->arena);
    SL_BUF(sql);
    if (index && primary)
        sl_sql_add(&sql, "ALTER TABLE %s REPLICA IDENTITY DEFAULT;", table);
    else if (index)
        sl_sql_add(&sql, "ALTER TABLE %s REPLICA IDENTITY USING INDEX %I;", table, index);
    else
        sl_sql_add(&sql, "ALTER TABLE %s REPLICA IDENTITY FULL;", table);
    if (!index)
        sl_sql_add(&sql,
                   "\n-- or, better where columns are unique: ALTER TABLE %s ADD PRIMARY KEY "
                   "(COLUMNS);",
                   table);
    sl_sql_add(&sql,
               "\n-- or in the specification, without its updates and deletes: "
               "{ table: \"%s\", keyless: insert_only }",
               route->src_table);
    sl_report(c, label,
              sl_say(c,
                     "UPDATE and DELETE in %s cannot be carried over: %s, so its rows cannot be "
                     "told apart.",
                     label, why_no_identity(route)),
              sql.data);
}

sl_rc sl_check_identity(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    /* Unique indexes that ALTER TABLE … REPLICA IDENTITY USING INDEX takes. */
    if (sl_check_query(c, "the unique indexes",
                       "SELECT DISTINCT ON (i.indrelid) i.indrelid, x.relname, i.indisprimary"
                       " FROM unnest($1::oid[]) AS o(oid) JOIN pg_index i ON i.indrelid = o.oid"
                       " JOIN pg_class x ON x.oid = i.indexrelid"
                       " WHERE i.indisunique AND i.indimmediate AND i.indisvalid"
                       " AND i.indpred IS NULL AND i.indexprs IS NULL"
                       " AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) AS k(n)"
                       "  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n"
                       "  WHERE NOT a.attnotnull)"
                       " ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid",
                       &res, err) != SL_OK)
        return err->code;
    sl_map *rows = sl_map_new();
    for (int i = 0; i < PQntuples(res); i++) {
        uint32_t oid = (uint32_t)sl_cell_int(res, i, 0);
        sl_map_put(rows, &oid, sizeof(oid), (void *)(intptr_t)(i + 1));
    }
    for (size_t i = 0; i < c->run->routes->n; i++) {
        const sl_route *route = &c->run->routes->items[i];
        if (!lacks_identity(route))
            continue;
        int row = (int)(intptr_t)sl_map_get(rows, &route->oid, sizeof(route->oid)) - 1;
        report_identity(c, route, row < 0 ? NULL : PQgetvalue(res, row, 1),
                        row >= 0 && sl_cell_bool(res, row, 2));
    }
    sl_map_free(rows);
    return SL_OK;
}

/* keyless: full sets REPLICA IDENTITY FULL, which only the owner may. */
sl_rc sl_check_identity_full(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    if (sl_check_query(c, "the owners",
                       "SELECT c.oid FROM unnest($1::oid[]) AS o(oid) JOIN pg_class c"
                       " ON c.oid = o.oid WHERE c.relreplident <> 'f' AND c.relkind = 'r'"
                       " AND c.relpersistence = 'p' AND NOT pg_has_role(c.relowner, 'USAGE')"
                       " ORDER BY c.oid",
                       &res, err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(res); i++) {
        const sl_route *route = sl_check_route(c, res, i, 0);
        if (route->identity != SL_IDENTITY_FULL)
            continue;
        char *label = sl_route_label(route, &c->arena);
        sl_report(
            c, label,
            sl_say(c,
                   "The specification says keyless: full for %s, and the role %s does not own "
                   "the table, so that it cannot set REPLICA IDENTITY FULL.",
                   label, c->run->source.user),
            sl_sql(&c->arena, "ALTER TABLE %I.%I REPLICA IDENTITY FULL;", route->src_schema,
                   route->src_table));
    }
    return SL_OK;
}

/* ---- what the selection leaves out ---- */

static bool matches_any(const sl_check_context *c, const char *schema, const char *pattern)
{
    for (size_t i = 0; i < c->run->routes->n; i++) {
        const sl_route *route = &c->run->routes->items[i];
        if (strcmp(route->src_schema, schema) == 0 && sl_pattern_match(pattern, route->src_table))
            return true;
    }
    return false;
}

sl_rc sl_check_patterns(sl_check_context *c, sl_error *err)
{
    (void)err;
    const sl_spec *spec = c->run->spec;
    for (size_t i = 0; i < spec->n_schemas; i++)
        for (size_t j = 0; j < spec->schemas[i].n_tables; j++) {
            const sl_spec_table *t = &spec->schemas[i].tables[j];
            const char *schema = spec->schemas[i].schema;
            if (t->exclude || matches_any(c, schema, t->pattern))
                continue;
            sl_report(c, sl_say(c, "%s.%s", schema, t->pattern),
                      sl_say(c, "The pattern in line %d of %s matches no table of the schema %s.",
                             t->line, spec->file, schema),
                      sl_say(c, "Correct or remove the entry in line %d.", t->line));
        }
    return SL_OK;
}

sl_rc sl_check_unlogged(sl_check_context *c, sl_error *err)
{
    (void)err;
    for (size_t i = 0; i < c->run->routes->n; i++) {
        const sl_route *route = &c->run->routes->items[i];
        if (route->persistence != 'u')
            continue;
        char *label = sl_route_label(route, &c->arena);
        sl_report(
            c, label,
            sl_say(c,
                   "%s is unlogged: its rows are copied once, later changes are not in the WAL "
                   "and do not reach the destination.",
                   label),
            sl_sql(&c->arena, "ALTER TABLE %I.%I SET LOGGED;", route->src_schema,
                   route->src_table));
    }
    return SL_OK;
}

sl_rc sl_check_truncate(sl_check_context *c, sl_error *err)
{
    (void)err;
    if (c->source->version < SL_PG_11)
        sl_report(
            c, "",
            sl_say(c,
                   "PostgreSQL %s does not publish TRUNCATE: a truncated table keeps its rows "
                   "in the destination.",
                   c->run->source.version_text),
            "Use DELETE in place of TRUNCATE on the source, or upgrade it to 11 or later.");
    return SL_OK;
}

/* One finding for the objects of a kind that are left out for the same reason. */
static void report_kind(sl_check_context *c, const sl_schema *schema, size_t first)
{
    const sl_object *like = &schema->objects[first];
    size_t n = 0;
    SL_NAME_LIST(names, 10);
    for (size_t i = 0; i < schema->n; i++) {
        const sl_object *o = &schema->objects[i];
        if (!o->unsupported || strcmp(o->kind, like->kind) ||
            strcmp(o->unsupported, like->unsupported))
            continue;
        if (i < first)
            return; /* told already */
        sl_name_list_add(&names, o->identity);
        n++;
    }
    sl_report(c, like->kind,
              sl_say(c, "%zu object%s of the kind %s left out: %s. %s.", n, n == 1 ? "" : "s",
                     like->kind, sl_name_list_text(&names), like->unsupported),
              "Create them in the destination yourself, from pg_dump --schema-only.");
}

static sl_rc report_large_objects(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    if (sl_check_ask(c, c->source, "the large objects",
                     "SELECT count(*) FROM pg_largeobject_metadata", &res, err) != SL_OK)
        return err->code;
    if (sl_cell_int(res, 0, 0) > 0)
        sl_report(c, "large object",
                  sl_say(c, "The database has %s large objects, which are not synchronized.",
                         PQgetvalue(res, 0, 0)),
                  "Keep such data in columns of the type bytea.");
    return SL_OK;
}

/* What the generator itself says; once tables are created, each object's result is in the state. */
sl_rc sl_check_unsupported(sl_check_context *c, sl_error *err)
{
    sl_schema *schema = NULL;
    if (sl_map_size(c->created) > 0)
        return SL_NOT_FOUND;
    if (report_large_objects(c, err) != SL_OK)
        return err->code;
    sl_rc rc = sl_schema_load(c->run, c->source, c->destination->version, &schema, err);
    if (rc != SL_OK)
        return rc == SL_USAGE ? SL_NOT_FOUND : rc; /* destination.names says why */
    for (size_t i = 0; i < schema->n; i++) {
        const sl_object *o = &schema->objects[i];
        if (o->unsupported && strncmp(o->unsupported, "it references ", 14) != 0)
            report_kind(c, schema, i); /* the others: source.foreign_keys */
    }
    sl_schema_free(schema);
    return SL_OK;
}

/* With names that change: no two objects may get one name, and what is text cannot follow. */
sl_rc sl_check_names(sl_check_context *c, sl_error *err)
{
    sl_schema *schema = NULL;
    sl_error why = SL_ERROR_INIT;
    if (!c->run->routes->mapped || sl_map_size(c->created) > 0)
        return SL_NOT_FOUND;
    sl_rc rc = sl_schema_load(c->run, c->source, c->destination->version, &schema, &why);
    if (rc == SL_USAGE) {
        sl_report(c, "names", why.message, why.hint);
        return SL_OK;
    }
    if (rc != SL_OK) {
        *err = why;
        return rc;
    }
    for (size_t i = 0; i < schema->n; i++) {
        const sl_object *o = &schema->objects[i];
        if (o->detail && strncmp(o->detail, "its body is text", 16) == 0)
            sl_report_warning(
                c, o->identity, sl_say(c, "%s %s: %s.", o->kind, o->identity, o->detail),
                "Change the routine in the destination once it is created, or write "
                "it with an SQL-standard body (RETURN, BEGIN ATOMIC), which follows.");
    }
    sl_schema_free(schema);
    return SL_OK;
}

/* Rows may refer to rows that the parent's condition leaves out. */
static sl_rc report_filtered_parents(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    char *sql = sl_sql(
        &c->arena,
        "SELECT k.conrelid, k.conname, k.confrelid"
        " FROM unnest($1::oid[]) AS o(oid) JOIN pg_constraint k ON k.conrelid = o.oid"
        " WHERE k.contype = 'f'%s AND k.confrelid IN (SELECT unnest($1::oid[])) ORDER BY 1, 2",
        c->source->version >= SL_PG_11 ? " AND k.conparentid = 0" : "");
    if (sl_check_query(c, "the foreign keys", sql, &res, err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(res); i++) {
        const sl_route *child = sl_check_route(c, res, i, 0),
                       *parent = sl_check_route(c, res, i, 2);
        if (!parent->condition)
            continue;
        char *label = sl_route_label(child, &c->arena);
        sl_report(
            c, sl_say(c, "%s %s", label, PQgetvalue(res, i, 1)),
            sl_say(c,
                   "The foreign key %s of %s points to %s, whose condition (%s) leaves rows "
                   "out: where rows refer to those it cannot be validated in the destination.",
                   PQgetvalue(res, i, 1), label, sl_route_label(parent, &c->arena),
                   parent->spec->where),
            sl_say(c, "Give %s a condition that leaves out the rows that refer to them.", label));
    }
    return SL_OK;
}

sl_rc sl_check_foreign_keys(sl_check_context *c, sl_error *err)
{
    SL_RESULT(res);
    if (report_filtered_parents(c, err) != SL_OK)
        return err->code;
    char *sql =
        sl_sql(&c->arena,
               "SELECT k.conrelid, k.conname, n.nspname, p.relname"
               " FROM unnest($1::oid[]) AS o(oid) JOIN pg_constraint k ON k.conrelid = o.oid"
               " JOIN pg_class p ON p.oid = k.confrelid"
               " JOIN pg_namespace n ON n.oid = p.relnamespace WHERE k.contype = 'f'%s"
               " AND k.confrelid NOT IN (SELECT unnest($1::oid[])) ORDER BY 1, 2",
               c->source->version >= SL_PG_11 ? " AND k.conparentid = 0" : "");
    if (sl_check_query(c, "the foreign keys", sql, &res, err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(res); i++) {
        char *label = sl_route_label(sl_check_route(c, res, i, 0), &c->arena);
        const char *schema = PQgetvalue(res, i, 2), *parent = PQgetvalue(res, i, 3);
        sl_report(
            c, sl_say(c, "%s %s", label, PQgetvalue(res, i, 1)),
            sl_say(c,
                   "The foreign key %s of %s points to %s.%s, which is not selected: it is not "
                   "created in the destination.",
                   PQgetvalue(res, i, 1), label, schema, parent),
            sl_say(c, "objects: [ { schema: \"%s\", tables: [ { table: \"%s\" } ] } ]", schema,
                   parent));
    }
    return SL_OK;
}
