/* ranges.c: cuts a large table into key ranges: where a stream follows they are stored, and a
 * restart keeps those that are copied; else they are parts like any other.
 *
 * Rows do not leave a key range without the stream's telling, as they leave a page; so ranges may
 * come from different snapshots, where pages may not. Bounds follow the statistics' histogram
 * between the key's real ends, else they are equal steps; the first and the last range are open.
 *
 * A heap in another order than its key is read once per range, so it gets few of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "copy/internal.h"

#define RANGES_UNORDERED 8 /* of a heap that is not in the key's order */
#define ORDERED 0.5        /* correlation from which on it counts as such */
#define OID_UUID 2950

/* Does the stream tell of every row that enters or leaves a range? */
static bool is_followed(const sl_run *run, const sl_route *route)
{
    const unsigned all = SL_OP_INSERT | SL_OP_UPDATE | SL_OP_DELETE;
    return (run->spec->stages & SL_STAGE_INCREMENTAL) && route->persistence == 'p' &&
           (route->operations & all) == all;
}

/* The first column of the row identity, if it is of a kind that we compare as the server does. */
static const sl_column *range_column(const sl_route *route)
{
    if (route->n_key == 0)
        return NULL;
    const sl_column *c = &route->columns[route->key[0]];
    uint32_t type = c->type.oid;
    bool known =
        type == SL_OID_INT2 || type == SL_OID_INT4 || type == SL_OID_INT8 || type == OID_UUID;
    return known && c->not_null ? c : NULL;
}

/* ---- what the source says ---- */

typedef struct key_facts {
    bool uuid, known;
    uint32_t filenode;
    bool ordered;
    size_t n; /* points: the least key, the histogram's between, the greatest */
    sl_range_key *points;
} key_facts;

static bool add_point(key_facts *f, const char *text, size_t len)
{
    sl_range_key key;
    if (!sl_ranges_key(f->uuid, 't', text, len, &key))
        return false;
    if (f->n == 0 || key > f->points[f->n - 1])
        f->points[f->n++] = key;
    return true;
}

/* "{a,b,…}": integers and uuids are never quoted in it. */
static void add_histogram(key_facts *f, const char *text)
{
    for (const char *p = text ? text + 1 : ""; *p && *p != '}';) {
        size_t len = strcspn(p, ",}");
        if (!add_point(f, p, len))
            return;
        p += len + (p[len] == ',');
    }
}

static const char *facts_sql(const sl_route *route, const sl_column *column, sl_arena *arena)
{
    const char *name = sl_sql(arena, "%I", column->name);
    const char *table = sl_route_src_sql(route, arena);
    return sl_sql(arena,
                  "SELECT (SELECT relfilenode FROM pg_catalog.pg_class WHERE oid = %u),"
                  " (SELECT %s FROM ONLY %s ORDER BY %s LIMIT 1),"
                  " (SELECT %s FROM ONLY %s ORDER BY %s DESC LIMIT 1),"
                  " s.correlation, s.histogram_bounds::pg_catalog.text FROM (SELECT) one"
                  " LEFT JOIN pg_catalog.pg_stats s ON s.schemaname = %L AND s.tablename = %L"
                  " AND s.attname = %L AND NOT s.inherited",
                  route->oid, name, table, name, name, table, name, route->src_schema,
                  route->src_table, column->name);
}

/* As the snapshot sees it; the lock that this takes is given back. Not being able to is no error:
 * the table then gets no ranges. */
static sl_rc read_facts(sl_pg *source, const sl_route *route, const sl_column *column, key_facts *f,
                        sl_arena *arena, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    sl_error why = SL_ERROR_INIT;
    f->uuid = column->type.oid == OID_UUID;
    sl_rc rc = sl_pg_exec(source, "SAVEPOINT ranges; SET LOCAL lock_timeout = '2s'", err);
    if (rc != SL_OK)
        return rc;
    if (sl_pg_query(source, facts_sql(route, column, &tmp), &res, &why) == SL_OK &&
        sl_cell(res, 0, 0) && sl_cell(res, 0, 1)) {
        const char *histogram = sl_cell(res, 0, 4);
        f->filenode = (uint32_t)sl_cell_int(res, 0, 0);
        f->ordered = !sl_cell(res, 0, 3) || fabs(strtod(sl_cell(res, 0, 3), NULL)) >= ORDERED;
        f->points = SL_NEW_ARRAY(arena, sl_range_key, 3 + (histogram ? strlen(histogram) / 2 : 0));
        f->known = add_point(f, sl_cell(res, 0, 1), strlen(sl_cell(res, 0, 1)));
        add_histogram(f, histogram);
        add_point(f, sl_cell(res, 0, 2), strlen(sl_cell(res, 0, 2)));
    }
    return sl_pg_exec(source, "ROLLBACK TO SAVEPOINT ranges", err);
}

/* ---- bounds ---- */

/* Between which values i/n of the rows lie, if those between two points are evenly spread. */
static sl_range_key quantile(const key_facts *f, size_t i, size_t n)
{
    size_t steps = f->n - 1, whole = i * steps / n, rest = i * steps % n;
    sl_range_key from = f->points[whole];
    if (rest == 0)
        return from;
    sl_range_key width = f->points[whole + 1] - from;
    return from + width / n * rest + width % n * rest / n;
}

static void set_bounds(sl_ranges *r, const key_facts *f)
{
    size_t kept = 0;
    for (size_t i = 1; i < r->n; i++) {
        sl_range_key bound = quantile(f, i, r->n);
        if (bound > (kept ? r->bounds[kept - 1] : f->points[0]))
            r->bounds[kept++] = bound;
    }
    r->n = kept + 1;
}

/* NULL where there is nothing to cut. */
static sl_ranges *new_ranges(const sl_column *column, const key_facts *f, size_t parts)
{
    if (!f->known || parts < 2 || f->n < 2)
        return NULL;
    size_t n = f->ordered || parts < RANGES_UNORDERED ? parts : RANGES_UNORDERED;
    sl_ranges *r = sl_ranges_new(column->name, f->uuid, f->filenode, n);
    set_bounds(r, f);
    if (r->n > 1)
        return r;
    sl_ranges_free(r);
    return NULL;
}

static void make_parts(sl_work *w, const sl_ranges *r, sl_arena *arena)
{
    w->n_parts = r->n;
    w->parts = SL_NEW_ARRAY(arena, sl_part, r->n);
    w->done = 0;
    for (size_t i = 0; i < r->n; i++) {
        sl_part *part = &w->parts[i];
        part->number = (int)i;
        part->where = sl_ranges_where(r, i, arena);
        if (!w->resumed || r->lsn[i] == 0)
            continue;
        part->state = SL_PART_DONE;
        part->finished = true;
        part->rows = r->rows[i];
        part->bytes = r->bytes[i];
        w->done++;
    }
}

/* Do the ranges of an interrupted copy still say what is in the destination? */
static bool still_good(const sl_table *t, const sl_column *column, const key_facts *f)
{
    const sl_ranges *r = t->ranges;
    return r && t->state == SL_TABLE_COPYING && t->created && f->known &&
           strcmp(r->column, column->name) == 0 && r->uuid == f->uuid && r->filenode == f->filenode;
}

sl_rc sl_plan_ranges(sl_run *run, sl_pg *source, sl_work *w, size_t parts, sl_arena *arena,
                     bool *planned, sl_error *err)
{
    sl_table *t = w->table;
    key_facts f = { 0 };
    bool stored = is_followed(run, t->route);
    const sl_column *column =
        stored || run->source.version < SL_PG_14 ? range_column(t->route) : NULL;
    if (column && read_facts(source, t->route, column, &f, arena, err) != SL_OK)
        return sl_while(err, "looking at the keys of table %s", w->label);
    w->resumed = stored && column && still_good(t, column, &f);
    sl_ranges *ranges = w->resumed ? t->ranges : column ? new_ranges(column, &f, parts) : NULL;
    if (ranges)
        make_parts(w, ranges, arena);
    if (!w->resumed)
        sl_ranges_free(t->ranges);
    t->ranges = stored ? ranges : NULL;
    if (!stored)
        sl_ranges_free(ranges);
    *planned = ranges != NULL;
    return SL_OK;
}
