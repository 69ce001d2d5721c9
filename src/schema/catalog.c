/* catalog.c: nodes and their keys, the queries' plumbing, and the catalogs that all kinds share:
 * extension members, schemas, comments, dependencies.
 *
 * Rows are taken one at a time (libpq's single-row mode), so that a database of 100,000 relations
 * costs what is kept of it, not what the server sends. OIDs below 16384 are the server's own
 * objects and never become nodes. */
#include "schema/follow.h"

#include <stdlib.h>
#include <string.h>
#include "spec/names.h"

sl_rc sl_cat_each(sl_cat *cat, const char *what, const char *sql, sl_row_fn fn)
{
    PGconn *conn = cat->source->conn;
    if (!PQsendQuery(conn, sql)) {
        sl_pg_fail(cat->source, NULL, cat->err);
        return sl_while(cat->err, "reading %s from the source's catalog", what);
    }
    PQsetSingleRowMode(conn);
    sl_rc rc = SL_OK;
    for (PGresult *res; (res = PQgetResult(conn)) != NULL; PQclear(res)) {
        ExecStatusType status = PQresultStatus(res);
        if (status == PGRES_SINGLE_TUPLE)
            fn(cat, res);
        else if (status != PGRES_TUPLES_OK && rc == SL_OK)
            rc = sl_pg_fail(cat->source, res, cat->err);
    }
    if (rc != SL_OK)
        return sl_while(cat->err, "reading %s from the source's catalog", what);
    return SL_OK;
}

typedef struct object_key {
    uint32_t classid, oid;
} object_key;

typedef struct comment_key {
    uint32_t classid, oid;
    int32_t subid;
} comment_key;

sl_node *sl_cat_find(const sl_cat *cat, uint32_t classid, uint32_t oid)
{
    object_key key = { classid, oid };
    return sl_map_get(cat->keys, &key, sizeof(key));
}

void sl_cat_alias(sl_cat *cat, uint32_t classid, uint32_t oid, sl_node *node)
{
    object_key key = { classid, oid };
    if (oid != 0)
        sl_map_put(cat->keys, &key, sizeof(key), node);
}

void sl_cat_push(sl_cat *cat, void *array, size_t *n, void *item)
{
    void ***list = array;
    if ((*n & (*n - 1)) == 0) { /* 0 or a power of two: full */
        void **grown = SL_NEW_ARRAY(&cat->arena, void *, *n ? *n * 2 : 1);
        if (*n)
            memcpy(grown, *list, *n * sizeof(void *));
        *list = grown;
    }
    (*list)[(*n)++] = item;
}

sl_node *sl_cat_add(sl_cat *cat, uint32_t classid, uint32_t oid, sl_rank rank, const char *kind,
                    const char *schema, const char *name)
{
    sl_node *node = SL_NEW(&cat->arena, sl_node);
    node->classid = classid;
    node->oid = oid;
    node->rank = rank;
    node->kind = kind;
    node->schema = schema ? schema : "";
    node->name = name;
    node->identity = node->schema[0]
                         ? sl_arena_printf(cat->out, "%s.%s", sl_names_label(schema, &cat->arena),
                                           sl_names_label(name, &cat->arena))
                         : sl_arena_strdup(cat->out, name);
    if (cat->n_nodes == cat->cap_nodes) {
        cat->cap_nodes = cat->cap_nodes ? cat->cap_nodes * 2 : 1024;
        cat->nodes = sl_xrealloc(cat->nodes, cat->cap_nodes * sizeof(*cat->nodes));
    }
    cat->nodes[cat->n_nodes++] = node;
    sl_cat_alias(cat, classid, oid, node);
    return node;
}

sl_node *sl_cat_add_on(sl_cat *cat, uint32_t classid, uint32_t oid, sl_rank rank, const char *kind,
                       const sl_cat_table *table, const char *name)
{
    sl_node *node = sl_cat_add(cat, classid, oid, rank, kind, table->route->src_schema, name);
    node->identity = sl_arena_printf(cat->out, "%s.%s", table->node->identity,
                                     sl_names_label(name, &cat->arena));
    node->route = table->route;
    return node;
}

void sl_cat_edge(sl_cat *cat, sl_node *from, sl_node *to)
{
    if (!from || !to || from == to)
        return;
    sl_edge *edge = SL_NEW(&cat->arena, sl_edge);
    edge->to = to;
    edge->next = from->needs;
    from->needs = edge;
}

const char *sl_cat_text(sl_cat *cat, const PGresult *row, int col)
{
    return sl_arena_strdup(&cat->arena, sl_cell(row, 0, col));
}

uint32_t sl_cat_oid(const PGresult *row, int col)
{
    return (uint32_t)strtoul(PQgetvalue(row, 0, col), NULL, 10);
}

char sl_cat_char(const PGresult *row, int col)
{
    return PQgetvalue(row, 0, col)[0];
}

const char *sl_cat_keep(sl_cat *cat, const sl_buf *buf)
{
    return buf->len ? sl_arena_strndup(cat->out, buf->data, buf->len) : NULL;
}

void sl_cat_detail(sl_cat *cat, sl_node *node, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = sl_arena_vprintf(cat->out, fmt, ap);
    va_end(ap);
    node->detail = node->detail ? sl_arena_printf(cat->out, "%s; %s", node->detail, text) : text;
}

size_t sl_cat_numbers(const char *text, int *out, size_t max)
{
    size_t n = 0;
    for (const char *p = text; p && *p && n < max;) {
        char *end;
        long value = strtol(p, &end, 10);
        if (end == p) {
            p++;
            continue;
        }
        out[n++] = (int)value;
        p = end;
    }
    return n;
}

bool sl_cat_whole(const sl_cat *cat, const char *schema)
{
    for (size_t i = 0; i < cat->routes->n_schemas; i++)
        if (strcmp(cat->routes->schemas[i].src, schema) == 0)
            return cat->routes->schemas[i].whole;
    return false;
}

const char *sl_cat_schema(const sl_cat *cat, const char *name)
{
    const char *mapped = sl_route_schema(cat->routes, name);
    return mapped ? mapped : name;
}

char *sl_cat_name(sl_cat *cat, const char *schema, const char *name)
{
    const sl_renamed *renamed = sl_cat_renamed(cat, schema, name);
    if (renamed)
        return sl_sql(&cat->arena, "%I.%I", renamed->dst_schema, renamed->dst_name);
    return sl_sql(&cat->arena, "%I.%I", sl_cat_schema(cat, schema), name);
}

const char *sl_cat_belonging(sl_cat *cat, const sl_route *route, const char *name)
{
    if (!cat->renamed || !name)
        return name;
    return sl_names_belonging(cat->run->spec, route->src_schema, route->src_table, route->dst_table,
                              name, cat->out);
}

sl_cat_table *sl_cat_table_of(const sl_cat *cat, uint32_t oid)
{
    const sl_route *route = sl_route_by_oid(cat->routes, oid);
    return route ? cat->tables[route->index] : NULL;
}

/* --- extensions and what belongs to them: an array type belongs to its element's --- */

static void emit_extension(sl_cat *cat, sl_node *node)
{
    SL_BUF(after);
    const char *schema = node->data;
    node->sql = sl_sql(cat->out, "CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I;", node->name,
                       sl_cat_schema(cat, schema));
    node->after_sql = sl_cat_keep(cat, &after);
}

static void extension_row(sl_cat *cat, const PGresult *row)
{
    sl_node *node = sl_cat_add(cat, SL_CLASS_EXTENSION, sl_cat_oid(row, 0), SL_RANK_EXTENSION,
                               "extension", NULL, sl_cat_text(cat, row, 1));
    node->data = (void *)sl_cat_text(cat, row, 2);
    node->pullable = node->required = true;
    node->emit = emit_extension;
}

static void member_row(sl_cat *cat, const PGresult *row)
{
    sl_cat_alias(cat, sl_cat_oid(row, 0), sl_cat_oid(row, 1),
                 sl_cat_find(cat, SL_CLASS_EXTENSION, sl_cat_oid(row, 2)));
}

sl_rc sl_cat_read_members(sl_cat *cat)
{
    sl_rc rc = sl_cat_each(cat, "extensions",
                           "SELECT e.oid, e.extname, n.nspname FROM pg_extension e"
                           " JOIN pg_namespace n ON n.oid = e.extnamespace",
                           extension_row);
    if (rc == SL_OK)
        rc = sl_cat_each(cat, "extension members",
                         "SELECT d.classid, u.oid, d.refobjid FROM pg_depend d"
                         " LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid ="
                         " d.objid, unnest(ARRAY[d.objid, t.typarray]) u(oid)"
                         " WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass"
                         " AND u.oid >= 16384",
                         member_row);
    return rc;
}

/* --- schemas --- */

static void emit_schema(sl_cat *cat, sl_node *node)
{
    SL_BUF(after);
    const char *name = sl_cat_schema(cat, node->name);
    node->sql = sl_sql(cat->out, "CREATE SCHEMA IF NOT EXISTS %I;", name);
    sl_cat_add_comment(cat, &after, SL_CLASS_SCHEMA, node->oid, 0,
                       sl_sql(&cat->arena, "SCHEMA %I", name));
    node->after_sql = sl_cat_keep(cat, &after);
}

static void schema_row(sl_cat *cat, const PGresult *row)
{
    uint32_t oid = sl_cat_oid(row, 0);
    if (sl_cat_find(cat, SL_CLASS_SCHEMA, oid))
        return;
    sl_node *node = sl_cat_add(cat, SL_CLASS_SCHEMA, oid, SL_RANK_SCHEMA, "schema", NULL,
                               sl_cat_text(cat, row, 1));
    node->pullable = node->required = true;
    node->emit = emit_schema;
    for (size_t i = 0; i < cat->routes->n_schemas; i++)
        node->wanted |= strcmp(cat->routes->schemas[i].src, node->name) == 0;
}

sl_rc sl_cat_read_schemas(sl_cat *cat)
{
    return sl_cat_each(cat, "schemas",
                       "SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_'"
                       " AND nspname <> 'information_schema'",
                       schema_row);
}

/* --- comments --- */

static void comment_row(sl_cat *cat, const PGresult *row)
{
    comment_key key = { sl_cat_oid(row, 0), sl_cat_oid(row, 1), (int32_t)sl_cell_int(row, 0, 2) };
    sl_map_put(cat->comments, &key, sizeof(key), (void *)sl_cat_text(cat, row, 3));
}

sl_rc sl_cat_read_comments(sl_cat *cat)
{
    return sl_cat_each(
        cat, "comments",
        "SELECT d.classoid, d.objoid, d.objsubid, d.description FROM pg_description d"
        " WHERE d.objoid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend e"
        " WHERE e.classid = d.classoid AND e.objid = d.objoid AND e.deptype = 'e')",
        comment_row);
}

const char *sl_cat_comment(const sl_cat *cat, uint32_t classid, uint32_t oid, int subid)
{
    comment_key key = { classid, oid, subid };
    return sl_map_get(cat->comments, &key, sizeof(key));
}

void sl_cat_add_comment(sl_cat *cat, sl_buf *buf, uint32_t classid, uint32_t oid, int subid,
                        const char *what)
{
    const char *text = sl_cat_comment(cat, classid, oid, subid);
    if (text)
        sl_sql_add(buf, "COMMENT ON %s IS %L;\n", what, text);
}

/* --- dependencies --- */

/* Edges that say how the server drops objects, not how they are created. */
static bool is_creation_edge(const sl_node *from, const sl_node *to)
{
    if (from->rank == SL_RANK_SEQUENCE && to->rank == SL_RANK_TABLE)
        return false; /* ownership: set when the table is there */
    if (from->rank >= SL_RANK_INDEX && from->rank <= SL_RANK_INDEX_ROOT)
        return to->rank < SL_RANK_INDEX || to->rank > SL_RANK_INDEX_ROOT; /* see indexes.c */
    if (from->rank == SL_RANK_TABLE && to->route && to->route == from->route)
        return false; /* a generated column and its expression: one object */
    return true;
}

static void depend_row(sl_cat *cat, const PGresult *row)
{
    sl_node *from = sl_cat_find(cat, sl_cat_oid(row, 0), sl_cat_oid(row, 1));
    sl_node *to = sl_cat_find(cat, sl_cat_oid(row, 2), sl_cat_oid(row, 3));
    if (from && to && from != to && is_creation_edge(from, to))
        sl_cat_edge(cat, from, to);
}

sl_rc sl_cat_read_depends(sl_cat *cat)
{
    return sl_cat_each(cat, "dependencies",
                       "SELECT classid, objid, refclassid, refobjid FROM pg_depend"
                       " WHERE objid >= 16384 AND deptype <> 'e' AND deptype <> 'p'"
                       " AND (refobjid >= 16384 OR refclassid = 'pg_namespace'::regclass)"
                       " AND (classid, objid) <> (refclassid, refobjid)",
                       depend_row);
}
