/* routes_tool.c: prints the routes of a specification as JSON, for
 * tests/integration/test_routes.py. */
#include <jansson.h>
#include <stdio.h>
#include "spec/route.h"

static json_t *column_json(const sl_column *c)
{
    return json_pack(
        "{s:s, s:i, s:I, s:I, s:I, s:s#, s:b, s:i, s:s, s:b, s:b, s:s#, s:b, s:b, s:b}", "name",
        c->name, "attnum", c->attnum, "oid", (json_int_t)c->type.oid, "base",
        (json_int_t)c->type.base, "element", (json_int_t)c->type.element, "kind", &c->type.kind,
        (size_t)1, "domain", c->type.domain, "typmod", c->typmod, "type_sql", c->type_sql,
        "not_null", c->not_null, "generated", c->generated, "identity", &c->identity,
        (size_t)(c->identity != 0), "in_key", c->in_key, "in_relation_key", c->in_relation_key,
        "proven", c->proven);
}

static json_t *route_json(const sl_route *r)
{
    static const char *const identities[] = { "nothing", "key", "full" };
    static const char *const policies[] = { "refuse", "insert_only", "full" };
    json_t *columns = json_array(), *key = json_array();
    for (size_t i = 0; i < r->n_columns; i++)
        json_array_append_new(columns, column_json(&r->columns[i]));
    for (size_t i = 0; i < r->n_key; i++)
        json_array_append_new(key, json_string(r->columns[r->key[i]].name));
    json_t *out = json_pack(
        "{s:s, s:s, s:s#, s:s#, s:b, s:b, s:s#, s:o, s:o, s:s?, s:s, s:b, s:b, s:b, s:s, s:i, s:b}",
        "schema", r->src_schema, "table", r->src_table, "relkind", &r->relkind, (size_t)1,
        "persistence", &r->persistence, (size_t)1, "is_partition", r->is_partition, "has_children",
        r->has_children, "replica_identity", &r->replica_identity, (size_t)1, "columns", columns,
        "key", key, "key_index", r->key_index, "identity", identities[r->identity],
        "key_deferrable", r->key_deferrable, "cascades_in", r->cascades_in, "extra_unique",
        r->extra_unique, "keyless", policies[r->keyless], "operations", (int)r->operations,
        "binary_copy", r->binary_copy);
    json_object_set_new(out, "reltuples", json_real(r->reltuples));
    json_object_set_new(out, "bytes", json_integer(r->bytes));
    json_object_set_new(out, "heap_pages", json_integer(r->heap_pages));
    json_object_set_new(out, "entry", r->spec ? json_string(r->spec->pattern) : json_null());
    return out;
}

static int usage(const sl_error *err)
{
    char text[4096];
    fprintf(stderr, "%s\n", sl_error_text(err, text, sizeof(text)));
    return err->code == SL_USAGE ? 2 : 1;
}

int main(int argc, char **argv)
{
    sl_spec *spec = NULL;
    sl_routes *routes = NULL;
    SL_PG(source);
    sl_error err = SL_ERROR_INIT;
    if (argc != 2 || sl_spec_read(argv[1], &spec, &err) != SL_OK)
        return usage(&err);
    sl_pg_options options = { .side = SL_SOURCE, .name = "source" };
    if (sl_pg_connect(&spec->source, &options, &source, &err) != SL_OK ||
        sl_routes_resolve(spec, source, &routes, &err) != SL_OK) {
        sl_spec_free(spec);
        return usage(&err);
    }
    json_t *all = json_array(), *schemas = json_array();
    for (size_t i = 0; i < routes->n; i++) {
        const sl_route *r = &routes->items[i];
        if (r->index != i || sl_route_by_oid(routes, r->oid) != r ||
            sl_route_find(routes, r->src_schema, r->src_table) != r)
            return 3;
        json_array_append_new(all, route_json(r));
    }
    for (size_t i = 0; i < routes->n_schemas; i++)
        json_array_append_new(schemas, json_pack("[s, b]", routes->schemas[i].src,
                                                 routes->schemas[i].whole));
    json_t *out = json_pack("{s:o, s:o, s:b}", "routes", all, "schemas", schemas, "binary_stream",
                            routes->binary_stream);
    json_dumpf(out, stdout, 0);
    json_decref(out);
    sl_routes_free(routes);
    sl_spec_free(spec);
    return 0;
}
