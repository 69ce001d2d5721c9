/* routes.c: from the selected relations to routes.
 *
 * How: one query each for sizes, columns, types, unique indexes and foreign keys of all selected
 * tables together; rows are given to their routes by OID in memory, so that ten thousand tables
 * cost as many round trips as one. Works inside a snapshot and on servers from 9.4 to 18.
 *
 * What tells rows apart is decided here and nowhere else: see identify. */
#include "spec/route.h"

#include <stdlib.h>
#include <string.h>
#include "spec/columns.h"
#include "spec/condition.h"
#include "spec/mapping.h"
#include "spec/names.h"
#include "spec/relations.h"

typedef struct resolver {
    const sl_spec *spec;
    sl_pg *pg;
    sl_routes *routes;
    const char *oids; /* of all routes, as an array literal */
    sl_error *err;
} resolver;

static sl_rc query(resolver *r, const char *what, const char *sql, PGresult **res)
{
    const char *values[] = { r->oids };
    if (sl_pg_query_params(r->pg, sql, 1, values, res, r->err) != SL_OK)
        return sl_while(r->err, "reading %s of the selected tables", what);
    return SL_OK;
}

static uint32_t cell_oid(const PGresult *res, int row, int col)
{
    const char *text = sl_cell(res, row, col);
    return text ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

static sl_route *route_of(resolver *r, const PGresult *res, int row)
{
    uint32_t oid = cell_oid(res, row, 0);
    return sl_map_get(r->routes->by_oid, &oid, sizeof(oid));
}

/* ---- tables ---- */

static void map_key(sl_buf *key, const char *schema, const char *table)
{
    sl_buf_clear(key);
    sl_buf_add(key, schema, strlen(schema) + 1);
    sl_buf_puts(key, table);
}

static void index_routes(sl_routes *routes)
{
    SL_BUF(key);
    sl_map_free(routes->by_source);
    sl_map_free(routes->by_oid);
    routes->by_source = sl_map_new();
    routes->by_oid = sl_map_new();
    for (size_t i = 0; i < routes->n; i++) {
        sl_route *r = &routes->items[i];
        r->index = i;
        map_key(&key, r->src_schema, r->src_table);
        sl_map_put(routes->by_source, key.data, key.len, r);
        sl_map_put(routes->by_oid, &r->oid, sizeof(r->oid), r);
    }
}

void sl_routes_remove(sl_routes *routes, const sl_map *oids)
{
    size_t kept = 0;
    for (size_t i = 0; i < routes->n; i++)
        if (!sl_map_get(oids, &routes->items[i].oid, sizeof(routes->items[i].oid)))
            routes->items[kept++] = routes->items[i];
    routes->n = kept;
    index_routes(routes);
}

static void make_routes(resolver *r, const sl_relations *relations)
{
    sl_routes *routes = r->routes;
    routes->n = relations->n;
    routes->items = SL_NEW_ARRAY(&routes->arena, sl_route, relations->n + 1);
    for (size_t i = 0; i < relations->n; i++) {
        const sl_relation_row *from = &relations->items[i];
        routes->items[i] = (sl_route){
            .index = i,
            .oid = from->oid,
            .src_schema = from->schema,
            .src_table = from->name,
            .dst_schema = sl_names_schema(r->spec, from->schema, &routes->arena),
            .dst_table =
                sl_names_table(r->spec, from->spec, from->schema, from->name, &routes->arena),
            .relkind = from->relkind,
            .persistence = from->persistence,
            .is_partition = from->is_partition,
            .replica_identity = from->replica_identity,
            .reltuples = from->reltuples,
            .spec = from->spec,
            .keyless = from->spec ? from->spec->keyless : r->spec->keyless,
            .operations = from->spec ? from->spec->operations : SL_OP_ALL,
            .condition = from->spec ? from->spec->condition : NULL,
            .binary_copy = true,
        };
        sl_mapping_merge(r->spec, &routes->items[i], &routes->arena);
    }
    index_routes(routes);
}

/* The specification's schemas, and those that only partitions brought. */
static void make_schemas(resolver *r)
{
    sl_routes *routes = r->routes;
    sl_map *seen = sl_map_new();
    routes->schemas = sl_arena_zalloc(&routes->arena,
                                      sizeof(*routes->schemas) * (r->spec->n_schemas + routes->n));
    for (size_t i = 0; i < r->spec->n_schemas; i++) {
        const sl_spec_schema *s = &r->spec->schemas[i];
        const char *name = sl_arena_strdup(&routes->arena, s->schema);
        routes->schemas[routes->n_schemas++] =
            (struct sl_schema_route){ name, sl_names_schema(r->spec, name, &routes->arena),
                                      s->whole };
        sl_map_put(seen, name, strlen(name), routes);
    }
    for (size_t i = 0; i < routes->n; i++) {
        const char *name = routes->items[i].src_schema;
        if (sl_map_get(seen, name, strlen(name)))
            continue;
        routes->schemas[routes->n_schemas++] =
            (struct sl_schema_route){ name, sl_names_schema(r->spec, name, &routes->arena), false };
        sl_map_put(seen, name, strlen(name), routes);
    }
    sl_map_free(seen);
}

/* Sizes. pg_relation_size waits for a table that a migration holds ACCESS EXCLUSIVE: for such a
 * table the statistics' page count does. */
static sl_rc read_sizes(resolver *r)
{
    SL_RESULT(res);
    static const char sql[] =
        "WITH locked AS (SELECT l.relation AS oid FROM pg_locks l WHERE l.locktype = 'relation'"
        "  AND l.mode = 'AccessExclusiveLock' AND l.granted AND l.database ="
        "   (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())),"
        " sel AS (SELECT c.oid, c.relpages, c.reltoastrelid, c.oid IN (SELECT oid FROM locked) AS "
        "busy"
        "  FROM unnest($1::oid[]) AS o(oid) JOIN pg_class c ON c.oid = o.oid)"
        " SELECT s.oid, EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = s.oid),"
        "  CASE WHEN s.busy THEN s.relpages * b.size ELSE pg_relation_size(s.oid) END,"
        "  CASE WHEN s.reltoastrelid = 0 THEN 0"
        "   WHEN s.busy THEN coalesce(t.relpages, 0) * b.size"
        "   ELSE pg_relation_size(s.reltoastrelid) END,"
        "  b.size"
        " FROM sel s LEFT JOIN pg_class t ON t.oid = s.reltoastrelid,"
        "  (SELECT current_setting('block_size')::int8) AS b(size)";
    if (query(r, "the sizes", sql, &res) != SL_OK)
        return r->err->code;
    for (int i = 0; i < PQntuples(res); i++) {
        sl_route *route = route_of(r, res, i);
        int64_t heap = sl_cell_int(res, i, 2), block = sl_cell_int(res, i, 4);
        route->has_children = route->relkind == 'r' && sl_cell_bool(res, i, 1);
        route->bytes = heap + sl_cell_int(res, i, 3);
        route->heap_pages = heap / block;
        if (route->reltuples == -1 && heap == 0 && route->relkind == 'r')
            route->reltuples = 0;
    }
    return SL_OK;
}

/* ---- columns and types ---- */

static sl_rc read_columns(resolver *r)
{
    SL_SCRATCH(scratch);
    SL_RESULT(res);
    char *sql = sl_sql(&scratch,
                       "SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod,"
                       " a.attnotnull, %s, %s, %s"
                       " FROM unnest($1::oid[]) AS o(oid) JOIN pg_attribute a ON a.attrelid = o.oid"
                       " WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum",
                       r->pg->version >= SL_PG_12 ? "a.attgenerated <> ''" : "false",
                       r->pg->version >= SL_PG_10 ? "a.attidentity" : "''",
                       r->pg->version >= SL_PG_18 ? "a.attgenerated = 'v'" : "false");
    if (query(r, "the columns", sql, &res) != SL_OK)
        return r->err->code;
    int n = PQntuples(res);
    sl_column *columns = SL_NEW_ARRAY(&r->routes->arena, sl_column, n + 1), *c = columns;
    sl_left_out *out = SL_NEW_ARRAY(&r->routes->arena, sl_left_out, n + 1);
    for (int i = 0; i < n; i++) {
        sl_route *route = route_of(r, res, i);
        const char *name = sl_arena_strdup(&r->routes->arena, PQgetvalue(res, i, 2));
        int attnum = (int)sl_cell_int(res, i, 1);
        if (!sl_column_selected(route->spec, name)) {
            if (route->n_left_out++ == 0)
                route->left_out = out;
            *out++ = (sl_left_out){ attnum, name, sl_cell_bool(res, i, 6) };
            continue;
        }
        if (route->n_columns++ == 0)
            route->columns = c;
        c->attnum = attnum;
        c->name = name;
        c->dst_name = sl_names_column(r->spec, route->spec, route->src_schema, route->src_table,
                                      name, &r->routes->arena);
        c->type.oid = cell_oid(res, i, 3);
        c->typmod = (int32_t)sl_cell_int(res, i, 4);
        c->not_null = sl_cell_bool(res, i, 5);
        c->generated = sl_cell_bool(res, i, 6);
        c->identity = PQgetvalue(res, i, 7)[0];
        c->is_virtual = sl_cell_bool(res, i, 8);
        c++;
    }
    return SL_OK;
}

/* A row of pg_type. */
typedef struct type_row {
    uint32_t oid, base, element;
    char kind;
    bool varlena;
    const char *sql;
} type_row;

static const type_row *type_of(sl_map *types, uint32_t oid)
{
    return sl_map_get(types, &oid, sizeof(oid));
}

/* Follows domains; NULL when the catalog lacks a row (dropped meanwhile). */
static const type_row *base_of(sl_map *types, uint32_t oid)
{
    const type_row *t = type_of(types, oid);
    while (t && t->kind == 'd')
        t = type_of(types, t->base);
    return t;
}

static void fill_type(sl_map *types, sl_column *c)
{
    const type_row *own = type_of(types, c->type.oid), *base = base_of(types, c->type.oid);
    c->type_sql = own ? own->sql : "";
    if (!base)
        return;
    c->type.base = base->oid;
    c->type.kind = base->kind;
    c->type.domain = own->kind == 'd';
    c->type.element = base->varlena ? base->element : 0;
    const type_row *element = c->type.element ? base_of(types, c->type.element) : NULL;
    c->type.element_kind = element ? element->kind : 0;
    c->proven = sl_type_binary_proven(&c->type);
}

/* format_type with typmod -1, not NULL: character and bit without a length would mean length one in
 * a cast, "bpchar" and "bit" in quotes do not. */
static sl_rc read_types(resolver *r)
{
    SL_RESULT(res);
    static const char sql[] =
        "WITH RECURSIVE t AS (SELECT p.oid, p.typbasetype, p.typelem FROM pg_type p WHERE p.oid IN"
        "  (SELECT a.atttypid FROM unnest($1::oid[]) AS o(oid)"
        "   JOIN pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped)"
        " UNION SELECT p.oid, p.typbasetype, p.typelem FROM t"
        "  JOIN pg_type p ON p.oid = ANY (ARRAY[t.typbasetype, t.typelem]))"
        " SELECT p.oid, p.typbasetype, p.typelem, p.typtype, p.typlen = -1,"
        "  pg_catalog.format_type(p.oid, -1) FROM t JOIN pg_type p ON p.oid = t.oid";
    if (query(r, "the types", sql, &res) != SL_OK)
        return r->err->code;
    int n = PQntuples(res);
    sl_map *types = sl_map_new();
    type_row *rows = SL_NEW_ARRAY(&r->routes->arena, type_row, n + 1);
    for (int i = 0; i < n; i++) {
        rows[i] = (type_row){
            .oid = cell_oid(res, i, 0),
            .base = cell_oid(res, i, 1),
            .element = cell_oid(res, i, 2),
            .kind = PQgetvalue(res, i, 3)[0],
            .varlena = sl_cell_bool(res, i, 4),
            .sql = sl_arena_strdup(&r->routes->arena, PQgetvalue(res, i, 5)),
        };
        sl_map_put(types, &rows[i].oid, sizeof(rows[i].oid), &rows[i]);
    }
    for (size_t i = 0; i < r->routes->n; i++)
        for (size_t j = 0; j < r->routes->items[i].n_columns; j++)
            fill_type(types, &r->routes->items[i].columns[j]);
    sl_map_free(types);
    return SL_OK;
}

/* ---- row identity ---- */

/* A unique or exclusion index. */
typedef struct index_row {
    const char *name;
    bool primary, replica_identity;
    bool usable; /* unique, valid, immediate, not partial, plain columns */
    bool immediate;
    int *key; /* indexes into the route's columns; only while usable */
    size_t n_key;
} index_row;

/* indkey ("1 3 0") to columns; false for an expression or a column that is not sent. */
static bool parse_key(const sl_route *route, const char *indkey, size_t n, sl_arena *arena,
                      index_row *index)
{
    index->key = SL_NEW_ARRAY(arena, int, n + 1);
    char *end = (char *)indkey;
    for (size_t i = 0; i < n; i++) {
        long attnum = strtol(end, &end, 10);
        size_t c = 0;
        while (c < route->n_columns && route->columns[c].attnum != attnum)
            c++;
        if (c == route->n_columns || route->columns[c].generated)
            return false;
        index->key[index->n_key++] = (int)c;
    }
    return n > 0;
}

static bool all_not_null(const sl_route *route, const index_row *index)
{
    for (size_t i = 0; i < index->n_key; i++)
        if (!route->columns[index->key[i]].not_null)
            return false;
    return true;
}

/* The index that the server takes as replica identity (RelationGetIndexList in relcache.c: a
 * primary key only if it is immediate), or with FULL one that finds rows faster than comparing all
 * columns. */
static const index_row *choose_index(const sl_route *route, const index_row *indexes, size_t n,
                                     bool full)
{
    const index_row *best = NULL;
    for (size_t i = 0; i < n; i++) {
        const index_row *x = &indexes[i];
        if (!x->usable || !all_not_null(route, x))
            continue;
        if (full ? (!best || (x->primary && !best->primary))
                 : (route->replica_identity == 'd' ? x->primary : x->replica_identity))
            best = x;
    }
    return best;
}

static bool has_virtual_column(const sl_route *route)
{
    for (size_t i = 0; i < route->n_columns; i++)
        if (route->columns[i].is_virtual)
            return true;
    return false;
}

/* What tells the table's rows apart, and what follows from it (route.h). A full identity with a
 * virtual column is none: published, the application's own UPDATE would fail. */
static void identify(sl_route *route, const index_row *indexes, size_t n, sl_arena *arena)
{
    bool may_be_full = !has_virtual_column(route);
    bool is_full = route->replica_identity == 'f', full = is_full && may_be_full;
    const index_row *index = route->replica_identity == 'n' || is_full != full
                                 ? NULL
                                 : choose_index(route, indexes, n, full);
    if (!full && !index && may_be_full && route->keyless == SL_KEYLESS_FULL) {
        full = true;
        index = choose_index(route, indexes, n, true);
    }
    route->identity = full ? SL_IDENTITY_FULL : index ? SL_IDENTITY_KEY : SL_IDENTITY_NOTHING;
    if (route->identity == SL_IDENTITY_NOTHING && route->keyless == SL_KEYLESS_INSERT_ONLY)
        route->operations &= SL_OP_INSERT | SL_OP_TRUNCATE;
    for (size_t i = 0; i < n; i++) {
        route->key_deferrable |= indexes[i].primary && !indexes[i].immediate;
        route->extra_unique |= &indexes[i] != index;
    }
    for (size_t i = 0; full && i < route->n_columns; i++)
        route->columns[i].in_relation_key = true;
    if (!index)
        return;
    route->key_index = sl_arena_strdup(arena, index->name);
    route->key = index->key;
    route->n_key = index->n_key;
    for (size_t i = 0; i < index->n_key; i++)
        route->columns[index->key[i]].in_key = route->columns[index->key[i]].in_relation_key = true;
}

static sl_rc read_indexes(resolver *r)
{
    SL_SCRATCH(scratch);
    SL_RESULT(res);
    char *sql = sl_sql(&scratch,
                       "SELECT i.indrelid, c.relname, i.indisprimary, i.indisreplident,"
                       " i.indimmediate, i.indisunique AND i.indisvalid AND i.indimmediate"
                       "  AND i.indpred IS NULL AND i.indexprs IS NULL,"
                       " i.indkey, %s"
                       " FROM unnest($1::oid[]) AS o(oid) JOIN pg_index i ON i.indrelid = o.oid"
                       " JOIN pg_class c ON c.oid = i.indexrelid"
                       " WHERE (i.indisunique OR i.indisexclusion) AND i.indislive"
                       " ORDER BY i.indrelid, i.indexrelid",
                       r->pg->version >= SL_PG_11 ? "i.indnkeyatts" : "i.indnatts");
    if (query(r, "the indexes", sql, &res) != SL_OK)
        return r->err->code;
    int n = PQntuples(res);
    index_row *rows = SL_NEW_ARRAY(&scratch, index_row, n + 1);
    bool *done = SL_NEW_ARRAY(&scratch, bool, r->routes->n + 1);
    for (int first = 0, next; first < n; first = next) {
        sl_route *route = route_of(r, res, first);
        for (next = first; next < n && route_of(r, res, next) == route; next++) {
            index_row *x = &rows[next];
            x->name = PQgetvalue(res, next, 1);
            x->primary = sl_cell_bool(res, next, 2);
            x->replica_identity = sl_cell_bool(res, next, 3);
            x->immediate = sl_cell_bool(res, next, 4);
            x->usable = sl_cell_bool(res, next, 5) &&
                        parse_key(route, PQgetvalue(res, next, 6),
                                  (size_t)sl_cell_int(res, next, 7), &r->routes->arena, x);
        }
        identify(route, rows + first, (size_t)(next - first), &r->routes->arena);
        done[route->index] = true;
    }
    for (size_t i = 0; i < r->routes->n; i++)
        if (!done[i])
            identify(&r->routes->items[i], NULL, 0, &r->routes->arena);
    return SL_OK;
}

static sl_rc read_foreign_keys(resolver *r)
{
    SL_RESULT(res);
    static const char sql[] =
        "SELECT DISTINCT k.conrelid FROM unnest($1::oid[]) AS o(oid)"
        " JOIN pg_constraint k ON k.conrelid = o.oid AND k.contype = 'f'"
        " WHERE k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd')";
    if (query(r, "the foreign keys", sql, &res) != SL_OK)
        return r->err->code;
    for (int i = 0; i < PQntuples(res); i++)
        route_of(r, res, i)->cascades_in = true;
    return SL_OK;
}

/* ---- the whole ---- */

static void summarize(sl_routes *routes)
{
    routes->binary_stream = true;
    for (size_t i = 0; i < routes->n; i++) {
        sl_route *route = &routes->items[i];
        for (size_t j = 0; j < route->n_columns; j++)
            route->binary_copy &= route->columns[j].proven || route->columns[j].generated;
        if (route->persistence == 'p' && route->relkind == 'r')
            routes->binary_stream &= route->binary_copy;
    }
}

static sl_rc resolve(resolver *r)
{
    static sl_rc (*const steps[])(resolver *) = {
        read_sizes, read_columns, read_types, read_indexes, read_foreign_keys,
    };
    sl_relations relations;
    if (sl_relations_select(r->spec, r->pg, &r->routes->arena, &relations, r->err) != SL_OK)
        return r->err->code;
    make_routes(r, &relations);
    make_schemas(r);
    SL_BUF(oids);
    sl_array_start(&oids);
    for (size_t i = 0; i < r->routes->n; i++)
        sl_array_add_oid(&oids, r->routes->items[i].oid);
    sl_array_end(&oids);
    r->oids = oids.data;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (steps[i](r) != SL_OK)
            return r->err->code;
    summarize(r->routes);
    if (sl_columns_check(r->spec, r->routes, r->pg, r->err) != SL_OK ||
        sl_conditions_check(r->spec, r->routes, r->pg, r->err) != SL_OK)
        return r->err->code;
    return sl_mapping_settle(r->spec, r->pg, r->routes, r->oids, r->err);
}

sl_rc sl_routes_resolve(const sl_spec *spec, sl_pg *source, sl_routes **routes, sl_error *err)
{
    sl_error unused = SL_ERROR_INIT;
    resolver r = { .spec = spec,
                   .pg = source,
                   .routes = sl_xcalloc(1, sizeof(sl_routes)),
                   .err = err ? err : &unused };
    sl_rc rc = resolve(&r);
    if (rc != SL_OK) {
        sl_routes_free(r.routes);
        return rc;
    }
    *routes = r.routes;
    return SL_OK;
}

void sl_routes_free(sl_routes *routes)
{
    if (!routes)
        return;
    sl_map_free(routes->by_source);
    sl_map_free(routes->by_oid);
    sl_arena_free(&routes->arena);
    free(routes);
}

const sl_route *sl_route_find(const sl_routes *routes, const char *schema, const char *table)
{
    SL_BUF(key);
    map_key(&key, schema, table);
    return sl_map_get(routes->by_source, key.data, key.len);
}

const sl_route *sl_route_by_oid(const sl_routes *routes, uint32_t oid)
{
    return sl_map_get(routes->by_oid, &oid, sizeof(oid));
}

const char *sl_route_schema(const sl_routes *routes, const char *src_schema)
{
    for (size_t i = 0; i < routes->n_schemas; i++)
        if (strcmp(routes->schemas[i].src, src_schema) == 0)
            return routes->schemas[i].dst;
    return NULL;
}

char *sl_route_src_sql(const sl_route *route, sl_arena *arena)
{
    return sl_sql(arena, "%I.%I", route->src_schema, route->src_table);
}

char *sl_route_dst_sql(const sl_route *route, sl_arena *arena)
{
    return sl_sql(arena, "%I.%I", route->dst_schema, route->dst_table);
}

char *sl_route_label(const sl_route *route, sl_arena *arena)
{
    return sl_arena_printf(arena, "%s.%s", sl_names_label(route->src_schema, arena),
                           sl_names_label(route->src_table, arena));
}
