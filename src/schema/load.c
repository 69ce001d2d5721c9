/* load.c: from the source's catalogs to the list of objects: read, order, generate. */
#include <stdlib.h>
#include <string.h>

#include "schema/follow.h"
#include "spec/names.h"

static const char *table_oids(const sl_routes *routes, sl_arena *arena)
{
    SL_BUF(list);
    sl_buf_putc(&list, '{');
    for (size_t i = 0; i < routes->n; i++)
        sl_buf_printf(&list, "%s%u", i ? "," : "", routes->items[i].oid);
    sl_buf_putc(&list, '}');
    return sl_arena_strdup(arena, sl_buf_str(&list));
}

static sl_rc read_catalogs(sl_cat *cat)
{
    static sl_rc (*const readers[])(sl_cat * cat) = {
        sl_cat_read_comments, sl_cat_read_members,   sl_cat_read_schemas,
        sl_cat_read_renamed,  sl_cat_read_types,     sl_cat_read_collations,
        sl_cat_read_tables,   sl_cat_read_defaults,  sl_cat_read_constraints,
        sl_cat_read_indexes,  sl_cat_read_sequences, sl_cat_read_verbatim,
        sl_cat_read_others,   sl_cat_read_depends,
    };
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
        if (readers[i](cat) != SL_OK)
            return cat->err->code;
    return SL_OK;
}

/* What it is called in the destination, as people read it. */
static const char *destination_label(sl_cat *cat, const sl_node *node)
{
    sl_arena *out = cat->out, *tmp = &cat->arena;
    const sl_renamed *renamed = sl_cat_renamed(cat, node->schema, node->name);
    if (node->rank == SL_RANK_SCHEMA)
        return sl_arena_strdup(out, sl_cat_schema(cat, node->name));
    if (!cat->renamed || !node->schema[0])
        return node->identity;
    if (node->dst_name && node->route && node->classid != SL_CLASS_REL)
        return sl_arena_printf(out, "%s.%s.%s", sl_names_label(node->route->dst_schema, tmp),
                               sl_names_label(node->route->dst_table, tmp),
                               sl_names_label(node->dst_name, tmp));
    const char *name = node->dst_name                             ? node->dst_name
                       : renamed && node->classid == SL_CLASS_REL ? renamed->dst_name
                                                                  : NULL;
    const char *schema = renamed ? renamed->dst_schema : sl_cat_schema(cat, node->schema);
    size_t own =
        strlen(sl_names_label(node->schema, tmp)) + 1; /* the rest may have several parts */
    return sl_arena_printf(out, "%s.%s", sl_names_label(schema, tmp),
                           name ? sl_names_label(name, tmp) : node->identity + own);
}

/* Relations of all kinds share one space of names in a schema. */
static const char *name_space(const sl_node *node)
{
    return node->classid == SL_CLASS_REL && node->kind[0] != 'c' ? "relation" : node->kind;
}

/* Would two objects have one name? Nothing has been touched yet. */
static sl_rc check_collisions(const sl_spec *spec, const sl_schema *schema, sl_cat *cat)
{
    sl_map *seen = sl_map_new();
    sl_rc rc = SL_OK;
    for (size_t i = 0; i < schema->n && rc == SL_OK && cat->renamed; i++) {
        const sl_object *o = &schema->objects[i], *other;
        const sl_node *node = cat->nodes[i];
        if (node->classid == 0 || node->rank == SL_RANK_SCHEMA || o->unsupported)
            continue;
        const char *key = sl_arena_printf(&cat->arena, "%s %s", name_space(node), o->destination);
        other = sl_map_get(seen, key, strlen(key));
        sl_map_put(seen, key, strlen(key), (void *)o);
        if (!other)
            continue;
        rc = sl_fail(cat->err, SL_USAGE, "%s: %s %s and %s %s would both be %s", spec->file,
                     other->kind, other->identity, o->kind, o->identity, o->destination);
        sl_hint(cat->err, "Rename a table of one of them, or give one schema a rule (names.rules): "
                          "what belongs to a table follows its name.");
    }
    sl_map_free(seen);
    return rc;
}

static void write_objects(sl_cat *cat, sl_schema *schema)
{
    size_t n = sl_cat_order(cat);
    schema->objects = SL_NEW_ARRAY(&schema->arena, sl_object, n + 1);
    schema->tables = SL_NEW_ARRAY(&schema->arena, sl_object *, cat->routes->n + 1);
    schema->n = n;
    for (size_t i = 0; i < n; i++) {
        sl_node *node = cat->nodes[i];
        sl_object *object = &schema->objects[i];
        if (node->emit && !node->unsupported)
            node->emit(cat, node);
        bool supported = !node->unsupported;
        object->phase = node->phase;
        object->kind = node->kind;
        object->identity = node->identity;
        object->destination = destination_label(cat, node);
        object->sql = supported ? node->sql : NULL;
        object->validate_sql = supported ? node->validate_sql : NULL;
        object->after_sql = supported ? node->after_sql : NULL;
        object->mute_sql = supported ? node->mute_sql : NULL;
        object->unsupported = node->unsupported;
        object->detail = node->detail;
        object->required = node->required;
        object->excludes = node->excludes;
        object->route = node->route;
        if (node->rank == SL_RANK_TABLE)
            schema->tables[node->route->index] = object;
    }
}

sl_rc sl_schema_load(sl_run *run, sl_pg *source, int destination_version, sl_schema **schema,
                     sl_error *err)
{
    sl_schema *made = sl_xcalloc(1, sizeof(*made));
    pthread_mutex_init(&made->lock, NULL);
    sl_cat cat = { .run = run,
                   .routes = run->routes,
                   .source = source,
                   .version = source->version,
                   .dst_version = destination_version,
                   .out = &made->arena,
                   .err = err };
    sl_arena_init(&made->arena, 64 * 1024);
    sl_arena_init(&cat.arena, 64 * 1024);
    cat.keys = sl_map_new();
    cat.comments = sl_map_new();
    cat.tables = SL_NEW_ARRAY(&cat.arena, sl_cat_table *, run->routes->n + 1);
    cat.table_oids = table_oids(run->routes, &cat.arena);
    sl_rc rc = read_catalogs(&cat);
    if (rc == SL_OK)
        rc = sl_cat_leave_out(&cat);
    if (rc == SL_OK) {
        sl_cat_break_circles(&cat);
        sl_cat_inline(&cat);
        sl_cat_close(&cat);
        write_objects(&cat, made);
        rc = check_collisions(run->spec, made, &cat);
        run->progress.objects_total = (int64_t)made->n;
    }
    sl_cat_free_types(&cat);
    sl_map_free(cat.keys);
    sl_map_free(cat.comments);
    sl_map_free(cat.renamed);
    free(cat.nodes);
    sl_arena_free(&cat.arena);
    if (rc != SL_OK) {
        sl_schema_free(made);
        return sl_while(err, "reading the source's schema");
    }
    *schema = made;
    return SL_OK;
}

void sl_schema_free(sl_schema *schema)
{
    if (!schema)
        return;
    sl_map_free(schema->recorded);
    sl_map_free(schema->there);
    pthread_mutex_destroy(&schema->lock);
    sl_arena_free(&schema->arena);
    free(schema);
}
