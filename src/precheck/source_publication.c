/* source_publication.c: are the tables published, or may the task publish them?
 *
 * A task makes two publications (copy/publication.c): one for tables whose rows can be told apart,
 * one for the others, which publishes inserts and truncates only. That takes the tables' ownership
 * and CREATE on the database. Where the role has not both, the tables' owner makes one publication,
 * from the SQL that the finding prints, and the specification names it (`publication`): it is used
 * as it is. A table without identity in it would make the application's own UPDATE fail, so the SQL
 * gives such tables one. */
#include <string.h>

#include "precheck/internal.h"

typedef struct publication {
    const char *name;
    bool exists, owned, via_root;
    unsigned operations; /* SL_OP_* that it publishes */
    sl_map *members;     /* OID → member: tables published, partitions by their root too */
} publication;

enum { WHOLE = 1, PARTLY = 2 }; /* PARTLY: with a filter or a column list */

static bool is_streamed(const sl_route *route)
{
    return route->relkind == 'r' && route->persistence == 'p';
}

static intptr_t member(const publication *p, const sl_route *route)
{
    return p->exists ? (intptr_t)sl_map_get(p->members, &route->oid, sizeof(route->oid)) : 0;
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
    for (int i = 0; i < 4; i++)
        p->operations |= sl_cell_bool(res, 0, 2 + i) ? 1u << i : 0; /* in the order of SL_OP_* */
    sql = sl_sql(&c->arena,
                 "SELECT c.oid, %s FROM pg_publication_tables t JOIN pg_namespace n"
                 " ON n.nspname = t.schemaname JOIN pg_class c ON c.relnamespace = n.oid"
                 " AND c.relname = t.tablename WHERE t.pubname = %L",
                 version >= SL_PG_15 ? "t.rowfilter IS NULL AND NOT EXISTS (SELECT FROM"
                                       " pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0"
                                       " AND NOT a.attisdropped AND a.attgenerated = ''"
                                       " AND a.attname <> ALL (t.attnames))"
                                     : "true",
                 p->name);
    if (sl_check_ask(c, c->source, "the published tables", sql, &members, err) != SL_OK)
        return err->code;
    for (int i = 0; i < PQntuples(members); i++) {
        uint32_t oid = (uint32_t)sl_cell_int(members, i, 0);
        sl_map_put(p->members, &oid, sizeof(oid),
                   (void *)(intptr_t)(sl_cell_bool(members, i, 1) ? WHOLE : PARTLY));
    }
    return SL_OK;
}

/* ---- the specification's publication ---- */

/* What the owner has to do so that the publication holds every streamed table. Returns how many it
 * lacks. */
static size_t add_owner_sql(sl_check_context *c, const publication *p, sl_buf *sql)
{
    SL_BUF(list);
    size_t missing = 0;
    for (size_t i = 0; i < c->run->routes->n; i++) {
        const sl_route *route = &c->run->routes->items[i];
        if (!is_streamed(route) || member(p, route) == WHOLE)
            continue;
        if (route->identity == SL_IDENTITY_NOTHING)
            sl_sql_add(sql, "ALTER TABLE %I.%I REPLICA IDENTITY FULL; ", route->src_schema,
                       route->src_table);
        if (member(p, route) == PARTLY)
            sl_sql_add(sql, "ALTER PUBLICATION %I DROP TABLE ONLY %I.%I; ", p->name,
                       route->src_schema, route->src_table);
        sl_sql_add(&list, "%sONLY %I.%I", missing++ ? ", " : "", route->src_schema,
                   route->src_table);
    }
    if (p->exists && missing)
        sl_sql_add(sql, "ALTER PUBLICATION %I ADD TABLE %s;", p->name, list.data);
    else if (!p->exists)
        sl_sql_add(sql, missing ? "CREATE PUBLICATION %I FOR TABLE %s;" : "CREATE PUBLICATION %I;",
                   p->name, sl_buf_str(&list));
    return missing;
}

static void judge_given(sl_check_context *c, const publication *p)
{
    SL_BUF(sql);
    unsigned wanted = 0;
    size_t missing = add_owner_sql(c, p, &sql);
    for (size_t i = 0; i < c->run->routes->n; i++)
        wanted |= is_streamed(&c->run->routes->items[i]) ? c->run->routes->items[i].operations : 0;
    if (c->source->version < SL_PG_11)
        wanted &= ~(unsigned)SL_OP_TRUNCATE;
    if (!p->exists)
        sl_report(
            c, p->name,
            sl_say(c,
                   "The specification names the publication %s, which does not exist. The SQL "
                   "is for the tables' owner.",
                   p->name),
            sql.data);
    else if (missing)
        sl_report(c, p->name,
                  sl_say(c,
                         "The publication %s lacks %zu of the selected tables, or has them with a "
                         "filter or a column list. The SQL is for the tables' owner.",
                         p->name, missing),
                  sql.data);
    if (p->exists && (wanted & ~p->operations))
        sl_report(c, p->name,
                  sl_say(c,
                         "The publication %s does not publish all the operations that the "
                         "specification asks for.",
                         p->name),
                  sl_sql(&c->arena, "ALTER PUBLICATION %I SET (publish = '%s');", p->name,
                         c->source->version >= SL_PG_11 ? "insert, update, delete, truncate"
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

/* ---- the task's own publications ---- */

/* The tables that neither publication has and that the role does not own. */
static size_t count_foreign(const sl_check_context *c, const publication *both, const sl_map *owned)
{
    size_t n = 0;
    for (size_t i = 0; i < c->run->routes->n; i++) {
        const sl_route *route = &c->run->routes->items[i];
        n += is_streamed(route) && !member(&both[0], route) && !member(&both[1], route) &&
             !sl_map_get(owned, &route->oid, sizeof(route->oid));
    }
    return n;
}

static void judge_own(sl_check_context *c, const publication *both, const sl_map *owned,
                      bool may_create)
{
    SL_BUF(sql);
    const publication *p = &both[0];
    bool complete = both[0].exists && both[1].exists;
    bool ours = (!both[0].exists || both[0].owned) && (!both[1].exists || both[1].owned);
    size_t foreign = count_foreign(c, both, owned);
    if (ours && foreign == 0 && (complete || may_create))
        return;
    add_owner_sql(c, p, &sql);
    sl_sql_add(&sql, "%s-- and in the specification: publication: %s", sql.len ? "\n" : "",
               p->name);
    const char *why =
        !ours     ? sl_say(c, "the publication %s belongs to another role", p->name)
        : foreign ? sl_say(c, "it does not own %zu of them", foreign)
                  : sl_say(c, "it lacks CREATE on the database %s", c->run->source.database);
    sl_report(
        c, p->name,
        sl_say(c,
               "The role %s may not publish the selected tables: %s. The SQL is for the tables' "
               "owner; the specification then names the publication.",
               c->run->source.user, why),
        sql.data);
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
    publication both[] = { { .name = c->run->publication },
                           { .name = c->run->publication_inserts } };
    bool given = c->run->spec->publication != NULL, may_create = false;
    sl_map *owned = NULL;
    sl_rc rc = sl_run_publishes(c->run) ? SL_OK : SL_NOT_FOUND;
    for (size_t i = 0; i < (given ? 1 : 2) && rc == SL_OK; i++)
        rc = read_publication(c, &both[i], err);
    if (rc == SL_OK && given)
        judge_given(c, &both[0]);
    if (rc == SL_OK && !given)
        rc = read_owned(c, &owned, &may_create, err);
    if (rc == SL_OK && !given)
        judge_own(c, both, owned, may_create);
    sl_map_free(both[0].members);
    sl_map_free(both[1].members);
    sl_map_free(owned);
    return rc;
}
