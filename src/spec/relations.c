/* relations.c: see relations.h.
 *
 * How: one query gives all relations of the named schemas, whatever their number; entries are
 * matched in memory (full names by a map, patterns one by one); one more query follows the
 * partitions of what was selected. Sizes and columns are read later, for the selected tables only.
 */
#include "spec/relations.h"

#include <stdlib.h>
#include <string.h>
#include "spec/check.h"
#include "spec/suggest.h"

/* ---- schemas ---- */

static sl_rc no_schema(const sl_spec *spec, const sl_spec_schema *s, const PGresult *res,
                       sl_error *err)
{
    int n = PQntuples(res);
    SL_SCRATCH(scratch);
    const char **names = SL_NEW_ARRAY(&scratch, const char *, n + 1), *found[3];
    char near[256];
    for (int i = 0; i < n; i++)
        names[i] = PQgetvalue(res, i, 0);
    size_t count = sl_nearest(s->schema, names, (size_t)n, found);
    sl_nearest_text(found, count, near, sizeof(near));
    sl_fail(err, SL_USAGE, "%s:%d: the source database has no schema %s", spec->file, s->line,
            s->schema);
    if (near[0])
        return sl_hint(err, "Did you mean %s? Names are compared as they are, with their case.",
                       near);
    return sl_hint(err,
                   "Schemas of the database: psql -c '\\dn'. Is source.database the right one?");
}

static sl_rc check_schemas(const sl_spec *spec, sl_pg *source, sl_error *err)
{
    SL_RESULT(res);
    if (sl_pg_query(source,
                    "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'"
                    " AND nspname <> 'information_schema' ORDER BY 1",
                    &res, err) != SL_OK)
        return sl_while(err, "reading the source's schemas");
    sl_map *names = sl_map_new();
    for (int i = 0; i < PQntuples(res); i++) {
        const char *name = PQgetvalue(res, i, 0);
        sl_map_put(names, name, strlen(name), (void *)name);
    }
    sl_rc rc = SL_OK;
    for (size_t i = 0; i < spec->n_schemas && rc == SL_OK; i++) {
        const char *name = spec->schemas[i].schema;
        if (!sl_map_get(names, name, strlen(name)))
            rc = no_schema(spec, &spec->schemas[i], res, err);
    }
    sl_map_free(names);
    return rc;
}

/* ---- relations ---- */

#define RELATION_COLUMNS                                                                           \
    "c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relreplident, %s,"                \
    " EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass"                      \
    "         AND d.objid = c.oid AND d.deptype = 'e'),"                                           \
    " CASE WHEN c.reltuples < 0 OR (c.reltuples = 0 AND c.relpages = 0) THEN -1"                   \
    "      ELSE c.reltuples END,"                                                                  \
    " (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid AND %s)"

static const char *is_partition_sql(const sl_pg *pg)
{
    return pg->version >= SL_PG_10 ? "c.relispartition" : "false";
}

static void read_relation(const PGresult *res, int row, sl_arena *arena, sl_relation_row *out)
{
    out->oid = (uint32_t)strtoul(PQgetvalue(res, row, 0), NULL, 10);
    out->schema = sl_arena_strdup(arena, PQgetvalue(res, row, 1));
    out->name = sl_arena_strdup(arena, PQgetvalue(res, row, 2));
    out->relkind = PQgetvalue(res, row, 3)[0];
    out->persistence = PQgetvalue(res, row, 4)[0];
    out->replica_identity = PQgetvalue(res, row, 5)[0];
    out->is_partition = sl_cell_bool(res, row, 6);
    out->of_extension = sl_cell_bool(res, row, 7);
    out->reltuples = strtod(PQgetvalue(res, row, 8), NULL);
    out->parent = sl_cell(res, row, 9) ? (uint32_t)strtoul(PQgetvalue(res, row, 9), NULL, 10) : 0;
}

static sl_rc list_relations(const sl_spec *spec, sl_pg *source, sl_arena *arena, sl_relations *all,
                            sl_error *err)
{
    SL_SCRATCH(scratch);
    SL_BUF(schemas);
    SL_RESULT(res);
    const char *partition = is_partition_sql(source);
    char *sql = sl_sql(&scratch,
                       "SELECT " RELATION_COLUMNS
                       " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                       " WHERE n.nspname = ANY ($1::text[]) AND c.relkind IN ('r','p','v','m','f')",
                       partition, partition);
    sl_array_start(&schemas);
    for (size_t i = 0; i < spec->n_schemas; i++)
        sl_array_add(&schemas, spec->schemas[i].schema);
    sl_array_end(&schemas);
    const char *values[] = { schemas.data };
    if (sl_pg_query_params(source, sql, 1, values, &res, err) != SL_OK)
        return sl_while(err, "reading the source's tables");
    all->n = (size_t)PQntuples(res);
    all->items = SL_NEW_ARRAY(arena, sl_relation_row, all->n + 1);
    for (size_t i = 0; i < all->n; i++)
        read_relation(res, (int)i, arena, &all->items[i]);
    return SL_OK;
}

/* ---- matching ---- */

static bool is_table(const sl_relation_row *r)
{
    return (r->relkind == 'r' || r->relkind == 'p') && r->persistence != 't' && !r->of_extension;
}

static const char *what_it_is(const sl_relation_row *r)
{
    switch (r->relkind) {
    case 'v':
        return "a view";
    case 'm':
        return "a materialized view";
    case 'f':
        return "a foreign table";
    default:
        return r->of_extension ? "a table of an extension" : "a temporary table";
    }
}

static sl_rc no_table(const sl_spec *spec, const sl_spec_schema *s, const sl_spec_table *t,
                      const sl_relations *all, sl_error *err)
{
    SL_SCRATCH(scratch);
    const char **names = SL_NEW_ARRAY(&scratch, const char *, all->n + 1), *found[3];
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++) {
        const sl_relation_row *r = &all->items[i];
        if (strcmp(r->schema, s->schema) != 0)
            continue;
        if (strcmp(r->name, t->name) == 0)
            return sl_fail(err, SL_USAGE, "%s:%d: %s.%s is %s, and only tables are synchronized",
                           spec->file, t->line, s->schema, t->name, what_it_is(r));
        if (is_table(r))
            names[n++] = r->name;
    }
    char near[256];
    sl_nearest_text(found, sl_nearest(t->name, names, n, found), near, sizeof(near));
    sl_fail(err, SL_USAGE, "%s:%d: the source has no table %s.%s", spec->file, t->line, s->schema,
            t->name);
    if (near[0])
        return sl_hint(err, "Did you mean %s? Names are compared as they are, with their case.",
                       near);
    return sl_hint(err, "The schema %s has %zu tables; in psql: \\dt %s.*", s->schema, n,
                   s->schema);
}

/* The most exact pattern (not a full name) that matches. */
static const sl_spec_table *match_pattern(const sl_spec_schema *s, const char *name)
{
    const sl_spec_table *best = NULL;
    int best_score = 0;
    for (size_t i = 0; i < s->n_tables; i++) {
        const sl_spec_table *t = &s->tables[i];
        if (t->name || !sl_pattern_match(t->pattern, name))
            continue;
        int score = sl_pattern_exactness(t->pattern);
        if (!best || score > best_score) {
            best = t;
            best_score = score;
        }
    }
    return best;
}

static sl_rc match_schema(const sl_spec *spec, const sl_spec_schema *s, sl_relations *all,
                          sl_error *err)
{
    sl_map *exact = sl_map_new(), *used = sl_map_new();
    bool others = true; /* what no entry matches is selected */
    for (size_t i = 0; i < s->n_tables; i++) {
        others &= s->tables[i].exclude;
        if (s->tables[i].name)
            sl_map_put(exact, s->tables[i].name, strlen(s->tables[i].name), &s->tables[i]);
    }
    for (size_t i = 0; i < all->n; i++) {
        sl_relation_row *r = &all->items[i];
        if (!is_table(r) || strcmp(r->schema, s->schema) != 0)
            continue;
        r->spec = sl_map_get(exact, r->name, strlen(r->name));
        if (r->spec)
            sl_map_put(used, r->name, strlen(r->name), r);
        else
            r->spec = match_pattern(s, r->name);
        r->selected = r->spec ? !r->spec->exclude : others;
    }
    sl_rc rc = SL_OK;
    for (size_t i = 0; i < s->n_tables && rc == SL_OK; i++) {
        const sl_spec_table *t = &s->tables[i];
        if (!t->exclude && t->name && !sl_map_get(used, t->name, strlen(t->name)))
            rc = no_table(spec, s, t, all, err);
    }
    sl_map_free(exact);
    sl_map_free(used);
    return rc;
}

/* ---- partitions of selected tables ---- */

/* Selects a partition that no entry selected, with the entry of its parent. Rows come parents
 * first. */
static void select_partition(sl_map *by_oid, const sl_relation_row *r, sl_relations *all)
{
    sl_relation_row *known = sl_map_get(by_oid, &r->oid, sizeof(r->oid));
    const sl_relation_row *parent = sl_map_get(by_oid, &r->parent, sizeof(r->parent));
    if (!known) {
        known = &all->items[all->n++];
        *known = *r;
        sl_map_put(by_oid, &r->oid, sizeof(r->oid), known);
    }
    if (!known->selected && !known->spec && is_table(known)) {
        known->spec = parent ? parent->spec : NULL;
        known->selected = !known->spec || !known->spec->exclude;
    }
}

static sl_rc add_partitions(sl_pg *source, sl_arena *arena, sl_relations *all, sl_error *err)
{
    SL_SCRATCH(scratch);
    SL_BUF(roots);
    SL_RESULT(res);
    sl_array_start(&roots);
    for (size_t i = 0; i < all->n; i++)
        if (all->items[i].selected && all->items[i].relkind == 'p')
            sl_array_add_oid(&roots, all->items[i].oid);
    if (roots.len == 1)
        return SL_OK;
    sl_array_end(&roots);
    const char *partition = is_partition_sql(source), *values[] = { roots.data };
    char *sql =
        sl_sql(&scratch,
               "WITH RECURSIVE tree(oid, level) AS ("
               " SELECT oid, 0 FROM unnest($1::oid[]) AS root(oid)"
               " UNION SELECT i.inhrelid, t.level + 1 FROM tree t"
               " JOIN pg_inherits i ON i.inhparent = t.oid)"
               " SELECT " RELATION_COLUMNS
               " FROM (SELECT oid, max(level) AS level FROM tree GROUP BY oid) t"
               " JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace"
               " WHERE t.level > 0 ORDER BY t.level, c.oid",
               partition, partition);
    if (sl_pg_query_params(source, sql, 1, values, &res, err) != SL_OK)
        return sl_while(err, "reading the partitions of the selected tables");
    size_t rows = (size_t)PQntuples(res);
    sl_relation_row *items = SL_NEW_ARRAY(arena, sl_relation_row, all->n + rows + 1);
    sl_map *by_oid = sl_map_new();
    memcpy(items, all->items, all->n * sizeof(*items));
    all->items = items;
    for (size_t i = 0; i < all->n; i++)
        sl_map_put(by_oid, &items[i].oid, sizeof(items[i].oid), &items[i]);
    for (size_t i = 0; i < rows; i++) {
        sl_relation_row r = { 0 };
        read_relation(res, (int)i, arena, &r);
        select_partition(by_oid, &r, all);
    }
    sl_map_free(by_oid);
    return SL_OK;
}

static int compare_rows(const void *a, const void *b)
{
    const sl_relation_row *x = a, *y = b;
    int order = strcmp(x->schema, y->schema);
    return order ? order : strcmp(x->name, y->name);
}

sl_rc sl_relations_select(const sl_spec *spec, sl_pg *source, sl_arena *arena, sl_relations *out,
                          sl_error *err)
{
    sl_relations all = { 0 };
    if (check_schemas(spec, source, err) != SL_OK ||
        list_relations(spec, source, arena, &all, err) != SL_OK)
        return err->code;
    for (size_t i = 0; i < spec->n_schemas; i++)
        if (match_schema(spec, &spec->schemas[i], &all, err) != SL_OK)
            return err->code;
    if (add_partitions(source, arena, &all, err) != SL_OK)
        return err->code;
    out->items = SL_NEW_ARRAY(arena, sl_relation_row, all.n + 1);
    out->n = 0;
    for (size_t i = 0; i < all.n; i++)
        if (all.items[i].selected)
            out->items[out->n++] = all.items[i];
    qsort(out->items, out->n, sizeof(*out->items), compare_rows);
    return SL_OK;
}
