/* added.c: tables that were added to a task whose stream has run: they get their schema objects now
 * and their rows by the machinery of a resync, beside the stream, so that the others do not wait
 * for a copy. */
#include <string.h>

#include "task/internal.h"

/* Has the stream run, and is everything that is not in it new and fit for a resync? */
bool sl_task_has_added(const worker *w)
{
    size_t streaming = 0, added = 0;
    for (size_t i = 0; i < w->run.routes->n; i++) {
        const sl_table *t = &w->run.tables[i];
        int state = t->state;
        streaming += state == SL_TABLE_SYNCHRONIZING;
        if (state >= SL_TABLE_CATCHING_UP)
            continue;
        if (state != SL_TABLE_WAITING || t->generation != 0 || t->route->relkind != 'r' ||
            t->route->persistence != 'p')
            return false;
        added++;
    }
    return streaming > 0 && added > 0;
}

sl_rc sl_task_request_added(worker *w, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *schema = w->run.spec->state_schema;
    for (size_t i = 0; i < w->run.routes->n; i++) {
        const sl_table *t = &w->run.tables[i];
        if (t->state != SL_TABLE_WAITING)
            continue;
        const char *sql = sl_sql(&tmp,
                                 "UPDATE %I.tables SET request = 'resync' WHERE task_id = %L AND"
                                 " schema_name = %L AND table_name = %L AND EXISTS (SELECT 1 FROM"
                                 " %I.task WHERE task_id = %L AND epoch = %lld)",
                                 schema, w->run.id, t->route->src_schema, t->route->src_table,
                                 schema, w->run.id, (long long)w->run.epoch);
        if (sl_pg_exec(w->keeper, sql, err) != SL_OK)
            return sl_while(err, "asking for the copy of table %s", t->route->src_table);
        sl_event(&w->run, "table.added", "{s:s}", "table", sl_route_label(t->route, &tmp));
    }
    return SL_OK;
}
