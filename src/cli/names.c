/* names.c: what `pgsluice plan --names` prints: every schema, table and renamed column before and
 * after. A run would refuse two things of one name; here both are marked, so that a mapping can be
 * looked at as a whole while it is being made. Columns that keep their names are left out. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "spec/names.h"

typedef struct name {
    const char *kind, *source, *destination;
    const char *key; /* the same for two that collide; NULL: cannot collide */
} name;

typedef struct list {
    sl_arena *arena;
    name *items;
    size_t n;
    sl_map *seen; /* key → the first of it, or &twice */
} list;

static const name twice;

static void add(list *l, name one)
{
    if (one.key) {
        size_t n = strlen(one.key);
        bool known = sl_map_get(l->seen, one.key, n) != NULL;
        sl_map_put(l->seen, one.key, n, known ? (void *)&twice : (void *)one.key);
    }
    l->items[l->n++] = one;
}

static bool collides(const list *l, const name *one)
{
    return one->key && sl_map_get(l->seen, one->key, strlen(one->key)) == &twice;
}

static const char *label(const char *schema, const char *table, sl_arena *arena)
{
    return sl_arena_printf(arena, "%s.%s", sl_names_label(schema, arena),
                           sl_names_label(table, arena));
}

static void add_columns(list *l, const sl_route *r, const char *from, const char *to)
{
    for (size_t i = 0; i < r->n_columns; i++) {
        const sl_column *c = &r->columns[i];
        add(l, (name){ .kind = "column",
                       .source = sl_arena_printf(l->arena, "%s.%s", from,
                                                 sl_names_label(c->name, l->arena)),
                       .destination = sl_arena_printf(l->arena, "%s.%s", to,
                                                      sl_names_label(c->dst_name, l->arena)),
                       .key = sl_arena_printf(l->arena, "column %s %s", from, c->dst_name) });
    }
}

static void gather(list *l, const sl_routes *routes)
{
    size_t most = routes->n_schemas + routes->n;
    for (size_t i = 0; i < routes->n; i++)
        most += routes->items[i].n_columns;
    l->items = SL_NEW_ARRAY(l->arena, name, most + 1);
    for (size_t i = 0; i < routes->n_schemas; i++)
        add(l, (name){ .kind = "schema",
                       .source = sl_names_label(routes->schemas[i].src, l->arena),
                       .destination = sl_names_label(routes->schemas[i].dst, l->arena) });
    for (size_t i = 0; i < routes->n; i++) {
        const sl_route *r = &routes->items[i];
        const char *from = label(r->src_schema, r->src_table, l->arena);
        const char *to = label(r->dst_schema, r->dst_table, l->arena);
        add(l, (name){ .kind = "table",
                       .source = from,
                       .destination = to,
                       .key = sl_arena_printf(l->arena, "table %s", to) });
        add_columns(l, r, from, to);
    }
}

/* The column's own name, behind the table's. */
static bool is_shown(const name *one, bool collision)
{
    const char *a = strrchr(one->source, '.'), *b = strrchr(one->destination, '.');
    return strcmp(one->kind, "column") != 0 || collision || strcmp(a, b) != 0;
}

void cli_print_names(const sl_routes *routes, bool json)
{
    SL_SCRATCH(tmp);
    list l = { .arena = &tmp, .seen = sl_map_new() };
    gather(&l, routes);
    json_t *items = json_array();
    json_int_t collisions = 0;
    for (size_t i = 0; i < l.n; i++) {
        const name *one = &l.items[i];
        bool collision = collides(&l, one);
        collisions += collision;
        if (!is_shown(one, collision))
            continue;
        if (json)
            json_array_append_new(items, json_pack("{s:s, s:s, s:s, s:b}", "kind", one->kind,
                                                   "source", one->source, "destination",
                                                   one->destination, "collision", (int)collision));
        else
            printf("%s %s → %s%s\n", one->kind, one->source, one->destination,
                   collision ? "   (name given twice)" : "");
    }
    json_t *out = json_pack("{s:I, s:o}", "collisions", collisions, "items", items);
    if (json) {
        json_dumpf(out, stdout, JSON_COMPACT);
        putchar('\n');
    }
    json_decref(out);
    sl_map_free(l.seen);
}
