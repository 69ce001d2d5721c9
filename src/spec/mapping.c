/* mapping.c: see mapping.h. Nothing has been touched when this runs: a name that cannot be is an
 * error of the specification. Objects that are not tables are checked by schema/ (names.c). */
#include "spec/mapping.h"

#include <stdlib.h>
#include <string.h>
#include "spec/names.h"
#include "spec/suggest.h"

/* ---- inherited columns ---- */

static sl_column *column_named(sl_route *route, const char *name)
{
    for (size_t i = 0; i < route->n_columns; i++)
        if (strcmp(route->columns[i].name, name) == 0)
            return &route->columns[i];
    return NULL;
}

/* Takes the parent's names over; true if something changed. */
static bool follow_parent(sl_route *child, sl_route *parent)
{
    bool changed = false;
    for (size_t i = 0; i < parent->n_columns; i++) {
        const sl_column *theirs = &parent->columns[i];
        sl_column *own = column_named(child, theirs->name);
        if (!own || strcmp(own->dst_name, theirs->dst_name) == 0)
            continue;
        own->dst_name = theirs->dst_name;
        changed = true;
    }
    return changed;
}

/* Repeated until nothing changes: as often as trees are deep. */
static sl_rc follow_parents(sl_pg *source, sl_routes *routes, const char *oids, sl_error *err)
{
    SL_RESULT(res);
    const char *values[] = { oids };
    if (sl_pg_query_params(source,
                           "SELECT inhrelid, inhparent FROM pg_inherits"
                           " WHERE inhrelid = ANY ($1::oid[]) ORDER BY inhparent, inhrelid",
                           1, values, &res, err) != SL_OK)
        return sl_while(err, "reading the inheritance of the selected tables");
    int n = PQntuples(res);
    bool changed = true;
    for (int pass = 0; changed && pass <= n; pass++) {
        changed = false;
        for (int i = 0; i < n; i++) {
            uint32_t child = (uint32_t)strtoul(PQgetvalue(res, i, 0), NULL, 10);
            uint32_t parent = (uint32_t)strtoul(PQgetvalue(res, i, 1), NULL, 10);
            sl_route *from = sl_map_get(routes->by_oid, &parent, sizeof(parent));
            sl_route *to = sl_map_get(routes->by_oid, &child, sizeof(child));
            changed |= from && to && follow_parent(to, from);
        }
    }
    return SL_OK;
}

/* ---- renames of columns that are not there ---- */

static sl_rc no_column(const sl_spec *spec, const sl_route *route, const char *name, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char **names = SL_NEW_ARRAY(&tmp, const char *, route->n_columns + 1), *found[3];
    char near[256];
    for (size_t i = 0; i < route->n_columns; i++)
        names[i] = route->columns[i].name;
    sl_nearest_text(found, sl_nearest(name, names, route->n_columns, found), near, sizeof(near));
    sl_fail(err, SL_USAGE, "%s:%d: columns.rename: table %s has no selected column %s", spec->file,
            route->spec->line, sl_route_label(route, &tmp), name);
    if (near[0])
        return sl_hint(err, "Did you mean %s? Names are compared as they are, with their case.",
                       near);
    return err->code;
}

static sl_rc check_renames(const sl_spec *spec, sl_route *route, sl_error *err)
{
    const sl_spec_table *entry = route->spec;
    bool own = entry && entry->name && strcmp(entry->name, route->src_table) == 0;
    const char *const *pairs = own ? entry->column_renames : NULL;
    for (; pairs && pairs[0]; pairs += 2)
        if (!column_named(route, pairs[0]))
            return no_column(spec, route, pairs[0], err);
    return SL_OK;
}

/* ---- shared tables ---- */

void sl_mapping_merge(const sl_spec *spec, sl_route *route, sl_arena *arena)
{
    const sl_spec_table *entry = route->spec;
    const char *parts[2];
    if (!entry || !entry->merge_into || strcmp(entry->name, route->src_table) != 0)
        return;
    size_t n = sl_names_split(entry->merge_into, parts, 2, arena);
    route->merge_schema = n == 2 ? parts[0] : route->dst_schema;
    route->merge_table = parts[n - 1];
    route->merge_column = entry->merge_source_column;
    route->merge_value = entry->merge_source_value ? entry->merge_source_value : spec->name;
    route->dst_schema = route->merge_schema;
    route->dst_table =
        sl_names_fit(sl_arena_printf(arena, "%s_%s", route->merge_table, route->merge_value),
                     arena);
}

static sl_rc check_merge(const sl_spec *spec, sl_route *route, sl_error *err)
{
    SL_SCRATCH(tmp);
    if (!route->merge_table)
        return SL_OK;
    const char *reason = NULL, *label = sl_route_label(route, &tmp);
    if (route->relkind != 'r' || route->is_partition || route->has_children)
        reason = "it has partitions or children, or is one";
    else if (route->replica_identity != 'd' || route->identity != SL_IDENTITY_KEY)
        reason = "its rows are not told apart by a primary key";
    for (size_t i = 0; i < route->n_columns; i++)
        if (strcmp(route->columns[i].dst_name, route->merge_column) == 0)
            reason = "it has a column of the source column's name";
    return reason ? sl_fail(err, SL_USAGE, "%s:%d: table %s cannot be merged into %s.%s: %s",
                            spec->file, route->spec->line, label, route->merge_schema,
                            route->merge_table, reason)
                  : SL_OK;
}

/* ---- names that cannot be ---- */

static sl_rc too_long(const sl_spec *spec, const char *what, const char *from, const char *to,
                      sl_error *err)
{
    sl_fail(err, SL_USAGE,
            "%s: %s %s would be called %s, which is longer than PostgreSQL's names "
            "(%zu bytes of %d)",
            spec->file, what, from, to, strlen(to), SL_NAME_MAX);
    return sl_hint(err, "Give it a rename of its own, or a shorter prefix or suffix.");
}

static sl_rc is_empty(const sl_spec *spec, const char *what, const char *from, sl_error *err)
{
    sl_fail(err, SL_USAGE, "%s: %s %s would have an empty name", spec->file, what, from);
    return sl_hint(err, "Give it a rename of its own, or change the rule.");
}

static sl_rc check_name(const sl_spec *spec, const char *what, const char *from, const char *to,
                        sl_error *err)
{
    if (!to[0])
        return is_empty(spec, what, from, err);
    return strlen(to) > SL_NAME_MAX ? too_long(spec, what, from, to, err) : SL_OK;
}

static sl_rc check_schemas(const sl_spec *spec, const sl_routes *routes, sl_error *err)
{
    for (size_t i = 0; i < routes->n_schemas; i++) {
        const char *from = routes->schemas[i].src, *to = routes->schemas[i].dst;
        if (check_name(spec, "schema", from, to, err) != SL_OK)
            return err->code;
        if (strcmp(to, spec->state_schema) == 0)
            return sl_fail(err, SL_USAGE,
                           "%s: schema %s would be called %s, which holds the state of tasks",
                           spec->file, from, to);
        if (strncmp(to, "pg_", 3) == 0 || strcmp(to, "information_schema") == 0)
            return sl_fail(err, SL_USAGE,
                           "%s: schema %s would be called %s: such names are the server's",
                           spec->file, from, to);
    }
    return SL_OK;
}

static bool is_system_column(const char *name)
{
    static const char *const names[] = { "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static sl_rc check_columns(const sl_spec *spec, const sl_route *route, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *table = sl_route_label(route, &tmp);
    sl_map *seen = sl_map_new();
    sl_rc rc = SL_OK;
    for (size_t i = 0; i < route->n_columns && rc == SL_OK; i++) {
        const sl_column *c = &route->columns[i];
        const char *from = sl_arena_printf(&tmp, "%s of table %s", c->name, table);
        const sl_column *other = sl_map_get(seen, c->dst_name, strlen(c->dst_name));
        rc = check_name(spec, "column", from, c->dst_name, err);
        if (rc == SL_OK && is_system_column(c->dst_name))
            rc = sl_fail(err, SL_USAGE,
                         "%s: column %s would be called %s: the server has a column of that name "
                         "in every table",
                         spec->file, from, c->dst_name);
        if (rc == SL_OK && other && !spec->collisions_are_shown) {
            rc = sl_fail(err, SL_USAGE, "%s: columns %s and %s of table %s would both be called %s",
                         spec->file, other->name, c->name, table, c->dst_name);
            sl_hint(err, "Rename one of them with columns.rename.");
        }
        sl_map_put(seen, c->dst_name, strlen(c->dst_name), (void *)c);
    }
    sl_map_free(seen);
    return rc;
}

static sl_rc check_tables(const sl_spec *spec, const sl_routes *routes, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_BUF(key);
    sl_map *seen = sl_map_new();
    sl_rc rc = SL_OK;
    for (size_t i = 0; i < routes->n && rc == SL_OK; i++) {
        const sl_route *r = &routes->items[i];
        rc = check_name(spec, "table", sl_route_label(r, &tmp), r->dst_table, err);
        sl_buf_clear(&key);
        sl_buf_add(&key, r->dst_schema, strlen(r->dst_schema) + 1);
        sl_buf_puts(&key, r->dst_table);
        const sl_route *other = sl_map_get(seen, key.data, key.len);
        if (rc == SL_OK && other && !spec->collisions_are_shown) {
            rc = sl_fail(err, SL_USAGE, "%s: tables %s and %s would both be %s.%s", spec->file,
                         sl_route_label(other, &tmp), sl_route_label(r, &tmp), r->dst_schema,
                         r->dst_table);
            sl_hint(err, r->merge_table ? "Give each its own merge.source_value."
                                        : "Give one of them a rename; or, to have both in one "
                                          "table, merge.");
        }
        sl_map_put(seen, key.data, key.len, (void *)r);
    }
    sl_map_free(seen);
    return rc;
}

/* ---- the whole ---- */

static bool is_mapped(const sl_spec *spec, const sl_routes *routes)
{
    if (spec->n_rules > 0 || spec->name_case != SL_CASE_SOURCE)
        return true;
    for (size_t i = 0; i < routes->n_schemas; i++)
        if (strcmp(routes->schemas[i].src, routes->schemas[i].dst) != 0)
            return true;
    for (size_t i = 0; i < routes->n; i++) {
        const sl_route *r = &routes->items[i];
        if (strcmp(r->src_table, r->dst_table) != 0)
            return true;
        for (size_t j = 0; j < r->n_columns; j++)
            if (strcmp(r->columns[j].name, r->columns[j].dst_name) != 0)
                return true;
    }
    return false;
}

sl_rc sl_mapping_settle(const sl_spec *spec, sl_pg *source, sl_routes *routes, const char *oids,
                        sl_error *err)
{
    routes->mapped = is_mapped(spec, routes);
    if (routes->mapped && follow_parents(source, routes, oids, err) != SL_OK)
        return err->code;
    sl_rc rc = check_schemas(spec, routes, err);
    if (rc == SL_OK)
        rc = check_tables(spec, routes, err);
    for (size_t i = 0; i < routes->n && rc == SL_OK; i++) {
        rc = check_renames(spec, &routes->items[i], err);
        if (rc == SL_OK)
            rc = check_merge(spec, &routes->items[i], err);
        if (rc == SL_OK)
            rc = check_columns(spec, &routes->items[i], err);
    }
    return rc;
}
