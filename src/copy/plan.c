/* plan.c: cuts large tables into parts that several COPYs read side by side.
 *
 * By ranges of the key (ranges.c) where a stream follows, so that a restart keeps what is copied,
 * and where the source cannot read a range of pages (before 14); else by pages: any table has them,
 * and a range of ctid is read without touching the rest. A table that has neither is one part. The
 * first and the last part are open-ended, so every row of the snapshot is in exactly one part
 * whatever the estimates say. Sizes count TOAST, so that a part is a like amount of work whatever
 * its rows hold.
 */
#include <stdlib.h>
#include "copy/internal.h"

#define PART_BYTES ((int64_t)1 << 30)
#define MAX_PARTS 4096

/* From how many bytes (heap and TOAST) on a table is split, and how large a part is then. */
static int64_t part_bytes(void)
{
    const char *text = getenv("PGSLUICE_PART_BYTES"); /* for tests: small tables in several parts */
    int64_t bytes = text ? strtoll(text, NULL, 10) : 0;
    return bytes > 0 ? bytes : PART_BYTES;
}

static size_t count_parts(const sl_work *w)
{
    int64_t size = part_bytes();
    int64_t n = (w->table->route->bytes + size - 1) / size;
    /* What was there before is filled in one transaction: it could not be emptied after a half. */
    if (n < 2 || !w->table->created)
        return 1;
    return n > MAX_PARTS ? MAX_PARTS : (size_t)n;
}

/* [from, to) of the heap's pages; the ends are open. */
static const char *page_range(int64_t pages, size_t i, size_t n, sl_arena *arena)
{
    SL_BUF(sql);
    long long from = (long long)(pages * (int64_t)i / (int64_t)n);
    long long to = (long long)(pages * (int64_t)(i + 1) / (int64_t)n);
    if (i > 0)
        sl_buf_printf(&sql, "ctid >= '(%lld,0)'::pg_catalog.tid", from);
    if (i + 1 < n)
        sl_buf_printf(&sql, "%sctid < '(%lld,0)'::pg_catalog.tid", i > 0 ? " AND " : "", to);
    return sl_arena_strdup(arena, sl_buf_str(&sql));
}

static void make_parts(sl_work *w, size_t n, sl_arena *arena)
{
    w->parts = SL_NEW_ARRAY(arena, sl_part, n);
    w->n_parts = n;
    for (size_t i = 0; i < n; i++) {
        w->parts[i].number = (int)i;
        w->parts[i].where = n == 1 ? NULL : page_range(w->table->route->heap_pages, i, n, arena);
    }
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
        size_t parts = count_parts(w);
        bool planned = false;
        if (!w->rows_in && (parts > 1 || w->table->ranges)) {
            if (open_reader(run, snapshot, &source, err) != SL_OK ||
                sl_plan_ranges(run, source, w, parts, arena, &planned, err) != SL_OK)
                return sl_while(err, "planning the copy");
        }
        if (!planned)
            make_parts(w, run->source.version >= SL_PG_14 ? parts : 1, arena);
    }
    return SL_OK;
}
