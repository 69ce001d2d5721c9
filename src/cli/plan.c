/* plan.c: `pgsluice plan`: id, routes and DDL; nothing is changed. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "schema/schema.h"

static const char *identity_name(const sl_route *r)
{
    if (r->relkind == 'p')
        return "by its partitions";
    switch (r->identity) {
    case SL_IDENTITY_KEY:
        return "key";
    case SL_IDENTITY_FULL:
        return r->n_key > 0 ? "full, matched by key" : "full";
    default:
        return r->operations & (SL_OP_UPDATE | SL_OP_DELETE) ? "none: refused"
                                                             : "none: inserts only";
    }
}

static json_t *route_json(const sl_route *r)
{
    json_t *columns = json_array(), *key = json_array();
    for (size_t i = 0; i < r->n_columns; i++) {
        const sl_column *c = &r->columns[i];
        json_array_append_new(columns,
                              json_pack("{s:s, s:s, s:s, s:b, s:b}", "column", c->name,
                                        "destination", c->dst_name, "type", c->type_sql,
                                        "generated", (int)c->generated, "binary", (int)c->proven));
    }
    for (size_t i = 0; i < r->n_key; i++)
        json_array_append_new(key, json_string(r->columns[r->key[i]].name));
    json_t *out =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:b, s:I, s:f}", "schema", r->src_schema,
                  "table", r->src_table, "destination_schema", r->dst_schema, "destination_table",
                  r->dst_table, "identity", identity_name(r), "key", key, "columns", columns,
                  "binary_copy", (int)r->binary_copy, "bytes", (json_int_t)r->bytes, "rows",
                  r->reltuples);
    if (r->condition)
        json_object_set_new(out, "where",
                            json_pack("{s:s, s:o}", "condition", r->spec->where, "estimated_rows",
                                      r->where_rows < 0 ? json_null() : json_real(r->where_rows)));
    return out;
}

static const char *phase_name(sl_phase phase)
{
    return phase == SL_PHASE_PRE ? "pre" : phase == SL_PHASE_INDEX ? "index" : "post";
}

static void print_json(const sl_run *run, const sl_schema *schema)
{
    json_t *routes = json_array(), *objects = json_array();
    for (size_t i = 0; i < run->routes->n; i++)
        json_array_append_new(routes, route_json(&run->routes->items[i]));
    for (size_t i = 0; schema && i < schema->n; i++) {
        const sl_object *o = &schema->objects[i];
        json_array_append_new(objects,
                              json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s*, s:s*, s:s*, s:s*}",
                                        "phase", phase_name(o->phase), "kind", o->kind, "object",
                                        o->identity, "destination", o->destination, "sql", o->sql,
                                        "after_sql", o->after_sql, "validate_sql", o->validate_sql,
                                        "left_out", o->unsupported, "note", o->detail));
    }
    json_t *out = json_pack("{s:s, s:s, s:o, s:o}", "task", run->id, "slot", run->slot, "routes",
                            routes, "objects", objects);
    json_dumpf(out, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(out);
}

/* "a → b, c": every column, and its other name where it has one. */
static void print_columns(const sl_route *r)
{
    printf("--     ");
    for (size_t i = 0; i < r->n_columns; i++) {
        const sl_column *c = &r->columns[i];
        bool same = strcmp(c->name, c->dst_name) == 0;
        printf("%s%s%s%s", i ? ", " : "", c->name, same ? "" : " → ", same ? "" : c->dst_name);
    }
    putchar('\n');
}

static void print_routes(const sl_run *run)
{
    SL_SCRATCH(tmp);
    char bytes[32];
    printf("-- task %s, slot %s", run->id, run->slot);
    if (run->source.version >= SL_PG_10)
        printf(", publications %s, %s", run->publication, run->publication_inserts);
    printf("\n--\n");
    for (size_t i = 0; i < run->routes->n; i++) {
        const sl_route *r = &run->routes->items[i];
        printf("-- %s → %s.%s   %zu columns, identity %s, %s, copied as %s\n",
               sl_route_label(r, &tmp), r->dst_schema, r->dst_table, r->n_columns, identity_name(r),
               cli_bytes(r->bytes, bytes), r->binary_copy ? "binary" : "text");
        if (r->condition && r->reltuples >= 0 && r->where_rows >= 0)
            printf("--   where %s: about %.0f of %.0f rows\n", r->spec->where, r->where_rows,
                   r->reltuples);
        else if (r->condition)
            printf("--   where %s\n", r->spec->where);
        for (size_t c = 0; c < r->n_left_out; c++)
            printf("--   without column %s\n", r->left_out[c].name);
        print_columns(r);
    }
}

/* Every object's name before and after; tables are routes. */
static void print_names(const sl_schema *schema)
{
    printf("\n-- names\n");
    for (size_t i = 0; i < schema->n; i++) {
        const sl_object *o = &schema->objects[i];
        if (!o->unsupported && strcmp(o->kind, "table") != 0)
            printf("-- %s %s → %s\n", o->kind, o->identity, o->destination);
    }
}

/* Objects of which something is to be said. */
static void print_remarks(const sl_schema *schema, const char *title, bool left_out)
{
    bool first = true;
    for (size_t i = 0; i < schema->n; i++) {
        const sl_object *o = &schema->objects[i];
        const char *text = left_out ? o->unsupported : o->unsupported ? NULL : o->detail;
        if (!text)
            continue;
        if (first)
            printf("\n-- %s\n", title);
        first = false;
        printf("-- %s %s: %s\n", o->kind, o->identity, text);
    }
}

static void print_sql(const char *sql)
{
    size_t n = sql ? strlen(sql) : 0;
    while (n > 0 && strchr("; \n", sql[n - 1]))
        n--;
    if (n > 0)
        printf("%.*s;\n", (int)n, sql);
}

static void print_objects(const sl_schema *schema)
{
    sl_phase phase = SL_PHASE_PRE;
    printf("\n-- before the rows\n");
    for (size_t i = 0; i < schema->n; i++) {
        const sl_object *o = &schema->objects[i];
        if (o->phase != phase)
            printf("\n-- %s\n", o->phase == SL_PHASE_INDEX ? "when a table's rows are in"
                                                           : "when all indexes are there");
        phase = o->phase;
        print_sql(o->sql);
        print_sql(o->after_sql);
        print_sql(o->validate_sql);
    }
    print_remarks(schema, "other than on the source", false);
    print_remarks(schema, "not synchronized", true);
}

int cmd_plan(const cli_args *args)
{
    cli_task t = { 0 };
    sl_schema *schema = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = cli_open(args, true, false, &t, &err);
    if (rc == SL_OK) {
        t.spec->collisions_are_shown = args->names;
        rc = sl_task_open(&t.run, SL_NEED_ROUTES, &t.source, NULL, &err);
    }
    if (rc == SL_OK && t.spec->stages & SL_STAGE_SCHEMA && !args->names)
        rc = sl_schema_load(&t.run, t.source, t.run.destination.version, &schema, &err);
    if (rc == SL_OK && args->names)
        cli_print_names(t.run.routes, args->json);
    else if (rc == SL_OK && args->json)
        print_json(&t.run, schema);
    else if (rc == SL_OK) {
        print_routes(&t.run);
        if (schema && t.run.routes->mapped)
            print_names(schema);
        if (schema)
            print_objects(schema);
    }
    sl_schema_free(schema);
    cli_close(&t);
    return rc == SL_OK ? EXIT_DONE : cli_fail(args, &err);
}
