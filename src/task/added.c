/* added.c: tables that are new in a task whose stream has run: selected anew by the user, or
 * created on the source since (follow.h). They get their schema objects before the stream goes on
 * and their rows by the machinery of a resync, beside the stream, so that the others do not wait
 * for a copy. */
#include <string.h>

#include "task/internal.h"

/* States are stored all at once when the first copy is complete (sl_copy_finish): one table beyond
 * it means that all of that time are. */
bool sl_added_streams(const worker *w)
{
    for (size_t i = 0; i < w->run.routes->n; i++)
        if (w->run.tables[i].state == SL_TABLE_CATCHING_UP ||
            w->run.tables[i].state == SL_TABLE_SYNCHRONIZING)
            return true;
    return false;
}

static bool is_added(const sl_table *t)
{
    return t->route->relkind == 'r' && t->state < SL_TABLE_CATCHING_UP;
}

/* A resync makes a table's rows those of the source, whatever was there: only where the table is
 * ours, and no copy of another kind has begun. */
bool sl_added_are_ours(const worker *w)
{
    for (size_t i = 0; i < w->run.routes->n; i++) {
        const sl_table *t = &w->run.tables[i];
        if (is_added(t) && (t->state != SL_TABLE_WAITING || t->generation != 0 || !t->created))
            return false;
    }
    return true;
}

sl_rc sl_added_request(worker *w, sl_error *err)
{
    SL_SCRATCH(tmp);
    size_t n = 0;
    const sl_table **tables = SL_NEW_ARRAY(&tmp, const sl_table *, w->run.routes->n);
    for (size_t i = 0; i < w->run.routes->n; i++)
        if (is_added(&w->run.tables[i]))
            tables[n++] = &w->run.tables[i];
    if (n == 0)
        return SL_OK;
    if (sl_state_request_resyncs(&w->run, w->keeper, tables, n, err) != SL_OK)
        return err->code;
    for (size_t i = 0; i < n; i++)
        sl_event(&w->run, "table.added", "{s:s}", "table", sl_route_label(tables[i]->route, &tmp));
    return SL_OK;
}
