/* replaced.c: tables that are others than those whose rows the destination has.
 *
 * A table that is dropped and created again, or swapped with another one by renames, keeps its
 * name. No event tells of it, and the new one is published only from the next start on: only its
 * OID gives it away. */
#include "core/log.h"
#include "task/internal.h"

static bool holds_rows(const sl_table *t)
{
    return t->route->relkind == 'r' && t->state >= SL_TABLE_INDEXING &&
           t->state <= SL_TABLE_SYNCHRONIZING && t->snapshot_lsn != SL_LSN_RESYNC;
}

static sl_rc set_aside(worker *w, sl_table *t, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *label = sl_route_label(t->route, &tmp);
    static const char reason[] =
        "the source's table was dropped and created again, or another one has its name now; what "
        "the destination has is the old one's";
    if (sl_state_set_table(&w->run, w->keeper, t, SL_TABLE_SET_ASIDE, reason, err) != SL_OK)
        return err->code;
    sl_warn("table %s is set aside: %s. To take the new one's rows: pgsluice resync %s %s", label,
            reason, w->run.spec->file, label);
    return SL_OK;
}

sl_rc sl_task_check_replaced(worker *w, sl_error *err)
{
    for (size_t i = 0; i < w->run.routes->n; i++) {
        sl_table *t = &w->run.tables[i];
        if (!holds_rows(t) || t->source_oid == t->route->oid)
            continue;
        /* A state of before it was stored: from now on it is. */
        sl_rc rc = t->source_oid == 0
                       ? sl_state_set_table(&w->run, w->keeper, t, t->state, NULL, err)
                       : set_aside(w, t, err);
        if (rc != SL_OK)
            return rc;
    }
    return SL_OK;
}
