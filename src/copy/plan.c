/* plan.c: cuts large tables into parts that several COPYs read side by side.
 *
 * By key ranges where a stream follows, so that a restart keeps what is copied (ranges.c). Else
 * from 14 on by pages (a range of ctid is read without touching the rest); before that by equal
 * ranges of an integer key, whose ends are read under the snapshot; else not at all. The first and
 * the last part are open-ended, so every row of the snapshot is in exactly one part whatever the
 * estimates say. Sizes count TOAST, so that a part is a like amount of work whatever its rows hold.
 */
#include <stdlib.h>
#include "copy/internal.h"

#define PART_BYTES ((int64_t)1 << 30)
#define MAX_PARTS 4096

int64_t sl_part_bytes(const sl_run *run)
{
    (void)run;
    const char *text = getenv("PGSLUICE_PART_BYTES"); /* for tests: small tables in several parts */
    int64_t bytes = text ? strtoll(text, NULL, 10) : 0;
    return bytes > 0 ? bytes : PART_BYTES;
}

static size_t count_parts(const sl_run *run, const sl_work *w)
{
    int64_t size = sl_part_bytes(run);
    int64_t n = (w->table->route->bytes + size - 1) / size;
    /* What was there before is filled in one transaction: it could not be emptied after a half. */
    if (n < 2 || !w->table->created)
        return 1;
    return n > MAX_PARTS ? MAX_PARTS : (size_t)n;
}

/* [from, to) of an expression in n equal steps; the ends are open. */
static void make_parts(sl_work *w, size_t n, sl_arena *arena,
                       const char *(*range)(const void *self, size_t i, size_t n, sl_arena *arena),
                       const void *self)
{
    w->parts = SL_NEW_ARRAY(arena, sl_part, n);
    w->n_parts = n;
    for (size_t i = 0; i < n; i++) {
        w->parts[i].number = (int)i;
        w->parts[i].where = n == 1 ? NULL : range(self, i, n, arena);
    }
}

static const char *between(sl_arena *arena, const char *what, const char *from, const char *to)
{
    if (!from)
        return sl_arena_printf(arena, "%s < %s", what, to);
    if (!to)
        return sl_arena_printf(arena, "%s >= %s", what, from);
    return sl_arena_printf(arena, "%s >= %s AND %s < %s", what, from, what, to);
}

static const char *page_range(const void *self, size_t i, size_t n, sl_arena *arena)
{
    int64_t pages = *(const int64_t *)self;
    long long from = (long long)(pages * (int64_t)i / (int64_t)n);
    long long to = (long long)(pages * (int64_t)(i + 1) / (int64_t)n);
    return between(arena, "ctid",
                   i == 0 ? NULL : sl_arena_printf(arena, "'(%lld,0)'::pg_catalog.tid", from),
                   i + 1 == n ? NULL : sl_arena_printf(arena, "'(%lld,0)'::pg_catalog.tid", to));
}

typedef struct key_range {
    const char *column; /* quoted */
    int64_t least, greatest;
} key_range;

static const char *key_step(const void *self, size_t i, size_t n, sl_arena *arena)
{
    const key_range *k = self;
    __int128 width = (__int128)k->greatest - k->least + 1;
    long long from = (long long)(k->least + width * (__int128)i / (__int128)n);
    long long to = (long long)(k->least + width * (__int128)(i + 1) / (__int128)n);
    return between(arena, k->column,
                   i == 0 ? NULL : sl_arena_printf(arena, "'%lld'::pg_catalog.int8", from),
                   i + 1 == n ? NULL : sl_arena_printf(arena, "'%lld'::pg_catalog.int8", to));
}

static const sl_column *integer_key(const sl_route *route)
{
    if (route->n_key != 1)
        return NULL;
    const sl_column *c = &route->columns[route->key[0]];
    bool integer =
        c->type.oid == SL_OID_INT2 || c->type.oid == SL_OID_INT4 || c->type.oid == SL_OID_INT8;
    return integer && c->not_null ? c : NULL;
}

/* The key's ends as the snapshot sees them; the lock that this takes is given back. Not being able
 * to is no error: the table is then copied whole. */
static bool read_ends(sl_pg *source, const sl_route *route, key_range *k)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    sl_error ignored = SL_ERROR_INIT;
    bool ok =
        sl_pg_exec(source, "SAVEPOINT ends; SET LOCAL lock_timeout = '2s'", &ignored) == SL_OK &&
        sl_pg_query(source,
                    sl_sql(&tmp, "SELECT pg_catalog.min(%s), pg_catalog.max(%s) FROM ONLY %s",
                           k->column, k->column, sl_route_src_sql(route, &tmp)),
                    &res, &ignored) == SL_OK &&
        !PQgetisnull(res, 0, 0);
    if (ok) {
        k->least = sl_cell_int(res, 0, 0);
        k->greatest = sl_cell_int(res, 0, 1);
    }
    sl_error again = SL_ERROR_INIT;
    return sl_pg_exec(source, "ROLLBACK TO SAVEPOINT ends", &again) == SL_OK && ok;
}

static sl_rc open_reader(sl_run *run, const sl_snapshot *snapshot, sl_pg **source, sl_error *err)
{
    SL_SCRATCH(tmp);
    if (*source)
        return SL_OK;
    if (sl_run_connect(run, SL_SOURCE, "source planner", 0, source, err) != SL_OK)
        return err->code;
    return sl_pg_exec(*source,
                      sl_sql(&tmp,
                             "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
                             " SET TRANSACTION SNAPSHOT %L",
                             snapshot->name),
                      err);
}

sl_rc sl_plan_parts(sl_run *run, const sl_snapshot *snapshot, sl_work *works, size_t n,
                    sl_arena *arena, sl_error *err)
{
    SL_PG(source);
    for (size_t i = 0; i < n; i++) {
        sl_work *w = &works[i];
        const sl_route *route = w->table->route;
        size_t parts = count_parts(run, w);
        bool planned = false;
        if (!w->rows_in && (parts > 1 || w->table->ranges)) {
            if (open_reader(run, snapshot, &source, err) != SL_OK ||
                sl_plan_ranges(run, source, w, parts, arena, &planned, err) != SL_OK)
                return sl_while(err, "planning the copy");
        }
        if (planned)
            continue;
        const sl_column *key = integer_key(route);
        key_range k = { 0 };
        if (parts > 1 && run->source.version >= SL_PG_14) {
            make_parts(w, parts, arena, page_range, &route->heap_pages);
            continue;
        }
        if (parts > 1 && key) {
            if (open_reader(run, snapshot, &source, err) != SL_OK)
                return sl_while(err, "planning the copy");
            k.column = sl_sql(arena, "%I", key->name);
        }
        bool split = k.column && read_ends(source, route, &k);
        make_parts(w, split ? parts : 1, arena, key_step, &k);
    }
    return SL_OK;
}
