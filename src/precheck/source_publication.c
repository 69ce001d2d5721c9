/* source_publication.c: are the tables published, or may the task publish them?
 *
 * A task needs its main publication with every streamed table whose rows can be told apart, and, if
 * there are others, a second one for those that publishes inserts and truncates only (an update in
 * a table that is published for updates without an identity fails in the application). Where the
 * role may not make them, the finding's SQL, run by the tables' owner under the names given, is all
 * that is needed. */
#include <string.h>

#include "precheck/internal.h"

typedef struct publication {
    const char *name;
    bool inserts_only;
    bool theirs; /* named by the specification: never changed by the task */
    bool exists, owned, via_root, has_insert, has_update, has_delete, has_truncate;
    sl_map *members;     /* route's OID → sl_member */
    size_t missing;      /* routes that it lacks */
    size_t not_ours;     /* of those, tables that the role does not own */
    unsigned operations; /* SL_OP_* that its routes need */
} publication;

static bool is_streamed(const sl_route *route)
{
    return route->relkind == 'r' && route->persistence == 'p';
}

static bool belongs(const publication *p, const sl_route *route)
{
    return is_streamed(route) && p->inserts_only == (route->identity == SL_IDENTITY_NOTHING);
}

static sl_rc read_publication(sl_check_context *c, publication *p, sl_error *err)
{
    SL_RESULT(res);
    SL_RESULT(members);
    int version = c->source->version;
    char *sql =
        sl_sql(&c->arena,
               "SELECT pg_has_role(pubowner, 'USAGE'), %s, pubinsert, pubupdate, pubdelete, %s"
               " FROM pg_publication WHERE pubname = %L",
               version >= SL_PG_13 ? "pubviaroot" : "false",
               version >= SL_PG_11 ? "pubtruncate" : "true", p->name);
    if (sl_check_ask(c, c->source, "the publications", sql, &res, err) != SL_OK)
        return err->code;
    p->members = sl_map_new();
    p->exists = PQntuples(res) > 0;
    if (!p->exists)
        return SL_OK;
    p->owned = sl_cell_bool(res, 0, 0);
    p->via_root = sl_cell_bool(res, 0, 1);
    p->has_insert = sl_cell_bool(res, 0, 2);
    p->has_update = sl_cell_bool(res, 0, 3);
    p->has_delete = sl_cell_bool(res, 0, 4);
    p->has_truncate = sl_cell_bool(res, 0, 5);
    sql = sl_sql(&c->arena,
                 "SELECT c.oid FROM pg_publication_tables t JOIN pg_namespace n"
                 " ON n.nspname = t.schemaname JOIN pg_class c ON c.relnamespace = n.oid"
                 " AND c.relname = t.tablename WHERE t.pubname = %L%s",
                 p->name,
                 version >= SL_PG_15 ? " AND t.rowfilter IS NULL AND NOT EXISTS (SELECT FROM"
                                       " pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0"
                                       " AND NOT a.attisdropped AND a.attgenerated = ''"
                                       " AND a.attname <> ALL (t.attnames))"
                                     : "");
    if (sl_check_ask(c, c->source, "the published tables", sql, &members, err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(members); i++) {
        uint32_t oid = (uint32_t)sl_cell_int(members, i, 0);
        sl_map_put(p->members, &oid, sizeof(oid), p);
    }
    return SL_OK;
}

/* Counts what is missing; owned: OIDs of the tables that the role owns. */
static void compare(sl_check_context *c, publication *p, const sl_map *owned)
{
    for (size_t i = 0; i < c->run->routes->n; i++) {
        const sl_route *route = &c->run->routes->items[i];
        if (!belongs(p, route))
            continue;
        p->operations |= route->operations;
        if (sl_map_get(p->members, &route->oid, sizeof(route->oid)))
            continue;
        p->missing++;
        p->not_ours += !sl_map_get(owned, &route->oid, sizeof(route->oid));
    }
    if (p->inserts_only)
        p->operations &= SL_OP_INSERT | SL_OP_TRUNCATE;
}

static unsigned published(const publication *p)
{
    return (p->has_insert ? SL_OP_INSERT : 0) | (p->has_update ? SL_OP_UPDATE : 0) |
           (p->has_delete ? SL_OP_DELETE : 0) | (p->has_truncate ? SL_OP_TRUNCATE : 0);
}

/* CREATE PUBLICATION … or ALTER PUBLICATION … ADD TABLE …, for the tables' owner. */
static void add_sql(sl_check_context *c, const publication *p, sl_buf *sql)
{
    bool first = true;
    sl_sql_add(sql,
               p->exists ? "ALTER PUBLICATION %I ADD TABLE " : "CREATE PUBLICATION %I FOR TABLE ",
               p->name);
    for (size_t i = 0; i < c->run->routes->n; i++) {
        const sl_route *route = &c->run->routes->items[i];
        if (!belongs(p, route) || sl_map_get(p->members, &route->oid, sizeof(route->oid)))
            continue;
        sl_sql_add(sql, "%s%s%I.%I", first ? "" : ", ", route->has_children ? "ONLY " : "",
                   route->src_schema, route->src_table);
        first = false;
    }
    if (p->inserts_only && !p->exists)
        sl_sql_add(sql, " WITH (publish = '%s')",
                   c->source->version >= SL_PG_11 ? "insert, truncate" : "insert");
    sl_sql_add(sql, "; ");
}

static bool may_make(const publication *p, bool may_create)
{
    return !p->theirs && p->not_ours == 0 && (p->exists ? p->owned : may_create);
}

static void judge(sl_check_context *c, publication *p, bool may_create)
{
    SL_BUF(sql);
    const char *user = c->run->source.user;
    bool needed = p->missing > 0 || (p->operations && !p->exists);
    if (needed && !may_make(p, may_create)) {
        add_sql(c, p, &sql);
        const char *why = p->theirs ? "the specification's publication is not the task's to change"
                          : p->not_ours ? "that takes the tables' owner"
                          : p->exists   ? "the publication belongs to another role"
                                        : "that takes CREATE on the database";
        sl_report(c, p->name,
                  sl_say(c,
                         "%s %s %zu of the selected tables without filter and column list, and the "
                         "role %s may not change that: %s. The SQL is for the tables' owner.",
                         p->name, p->exists ? "lacks" : "does not exist and would publish",
                         p->missing, user, why),
                  sql.data);
    }
    if (p->exists && (p->operations & ~published(p)) && (p->theirs || !p->owned))
        sl_report(c, p->name,
                  sl_say(c,
                         "The publication %s does not publish all the operations that the "
                         "specification asks for.",
                         p->name),
                  sl_sql(&c->arena, "ALTER PUBLICATION %I SET (publish = '%s');", p->name,
                         p->inserts_only                  ? "insert, truncate"
                         : c->source->version >= SL_PG_11 ? "insert, update, delete, truncate"
                                                          : "insert, update, delete"));
    if (p->exists && p->via_root)
        sl_report(c, p->name,
                  sl_say(c,
                         "The publication %s publishes changes of partitions under their root's "
                         "name; tables are synchronized partition by partition.",
                         p->name),
                  sl_sql(&c->arena,
                         "ALTER PUBLICATION %I SET (publish_via_partition_root = false);",
                         p->name));
}

static sl_rc read_owned(sl_check_context *c, sl_map **owned, bool *may_create, sl_error *err)
{
    SL_RESULT(res);
    SL_RESULT(create);
    *owned = sl_map_new();
    if (sl_check_query(c, "the owners",
                       "SELECT c.oid FROM unnest($1::oid[]) AS o(oid) JOIN pg_class c"
                       " ON c.oid = o.oid WHERE pg_has_role(c.relowner, 'USAGE')",
                       &res, err) != SL_OK ||
        sl_check_ask(c, c->source, "the rights",
                     "SELECT has_database_privilege(current_database(), 'CREATE')", &create,
                     err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(res); i++) {
        uint32_t oid = (uint32_t)sl_cell_int(res, i, 0);
        sl_map_put(*owned, &oid, sizeof(oid), c);
    }
    *may_create = sl_cell_bool(create, 0, 0);
    return SL_OK;
}

sl_rc sl_check_publication(sl_check_context *c, sl_error *err)
{
    publication publications[] = {
        { .name = c->run->publication, .theirs = c->run->spec->publication != NULL },
        { .name = c->run->publication_inserts, .inserts_only = true },
    };
    sl_map *owned = NULL;
    bool may_create = false;
    if (c->source->version < SL_PG_10)
        return SL_OK;
    sl_rc rc = read_owned(c, &owned, &may_create, err);
    for (size_t i = 0; i < 2 && rc == SL_OK; i++) {
        publication *p = &publications[i];
        rc = read_publication(c, p, err);
        if (rc == SL_OK) {
            compare(c, p, owned);
            judge(c, p, may_create);
        }
        sl_map_free(p->members);
    }
    sl_map_free(owned);
    return rc;
}
