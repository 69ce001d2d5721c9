/* load.c: from the source's catalogs to the list of objects: read, order, generate. */
#include <stdlib.h>
#include <string.h>

#include "schema/internal.h"

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
        sl_cat_read_comments,  sl_cat_read_members,     sl_cat_read_schemas,
        sl_cat_read_types,     sl_cat_read_collations,  sl_cat_read_tables,
        sl_cat_read_defaults,  sl_cat_read_constraints, sl_cat_read_indexes,
        sl_cat_read_sequences, sl_cat_read_verbatim,    sl_cat_read_others,
        sl_cat_read_depends,
    };
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
        if (readers[i](cat) != SL_OK)
            return cat->err->code;
    return SL_OK;
}

/* Two objects of one kind may read the same ("a.b".c and a."b.c"): the later one is quoted, so that
 * every record is one object's. */
static void make_unique(sl_cat *cat, size_t n)
{
    sl_map *seen = sl_map_new();
    for (size_t i = 0; i < n; i++) {
        sl_node *node = cat->nodes[i];
        size_t kind = strlen(node->kind) + 1;
        char *key = sl_arena_printf(&cat->arena, "%s\n%s", node->kind, node->identity);
        if (sl_map_get(seen, key, kind + strlen(node->identity)))
            node->identity = sl_sql(cat->out, "%I.%I", node->schema, node->name);
        else
            sl_map_put(seen, key, kind + strlen(node->identity), node);
    }
    sl_map_free(seen);
}

static void write_objects(sl_cat *cat, sl_schema *schema)
{
    size_t n = sl_cat_order(cat);
    make_unique(cat, n);
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
        run->progress.objects_total = (int64_t)made->n;
    }
    sl_cat_free_types(&cat);
    sl_map_free(cat.keys);
    sl_map_free(cat.comments);
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
