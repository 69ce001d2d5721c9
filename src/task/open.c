/* open.c: identity of a task: connections, servers, id, names, routes. */
#include <stdio.h>
#include <string.h>

#include "task/follow.h"

static void set_names(sl_run *run)
{
    const sl_spec *spec = run->spec;
    sl_task_id(spec, run->source.system_id, run->source.database, run->destination.system_id,
               run->destination.database, run->id);
    snprintf(run->slot, sizeof(run->slot), "pgsluice_%s", run->id);
    snprintf(run->publication, sizeof(run->publication), "%s",
             spec->publication ? spec->publication : run->slot);
    snprintf(run->publication_inserts, sizeof(run->publication_inserts), "pgsluice_%s_inserts",
             run->id);
    snprintf(run->application, sizeof(run->application), "pgsluice/%s", run->id);
}

static sl_rc open_side(sl_run *run, sl_side side, const char *name, sl_pg **pg, sl_error *err)
{
    sl_server *server = side == SL_SOURCE ? &run->source : &run->destination;
    if (!run->application[0])
        snprintf(run->application, sizeof(run->application), "pgsluice");
    if (sl_run_connect(run, side, name, 0, pg, err) != SL_OK)
        return err->code;
    return sl_pg_server(*pg, server, err);
}

/* Where pg_control_system() is not for us, a replication connection still tells the system id. Once
 * the task's id is known, a connection that fails for the moment must not make it another one. */
static sl_rc find_source_system(sl_run *run, sl_error *err)
{
    SL_PG(walsender);
    sl_system system;
    sl_error why = SL_ERROR_INIT;
    if (run->source.system_id[0])
        return SL_OK;
    sl_rc rc = sl_run_connect(run, SL_SOURCE, "source identification", SL_CONNECT_REPLICATION,
                              &walsender, &why);
    if (rc == SL_TRANSIENT && run->id[0])
        *err = why;
    if (rc != SL_OK)
        return err->code; /* else the precheck tells why, with the remedy */
    if (sl_repl_identify(walsender, &system, err) != SL_OK)
        return err->code;
    memcpy(run->source.system_id, system.system_id, sizeof(system.system_id));
    run->source.timeline = system.timeline;
    return SL_OK;
}

sl_rc sl_task_open(sl_run *run, unsigned need, sl_pg **source, sl_pg **destination, sl_error *err)
{
    sl_rc rc = SL_OK;
    if (need & SL_NEED_SOURCE)
        rc = open_side(run, SL_SOURCE, "source session", source, err);
    if (rc == SL_OK && need & SL_NEED_SOURCE)
        rc = find_source_system(run, err);
    if (rc == SL_OK && need & SL_NEED_DESTINATION)
        rc = open_side(run, SL_DESTINATION, "destination session", destination, err);
    if (rc != SL_OK)
        return rc;
    set_names(run);
    if (!(need & SL_NEED_ROUTES) || run->routes)
        return SL_OK;
    rc = sl_routes_resolve(run->spec, *source, &run->routes, err);
    if (rc == SL_OK)
        rc = sl_follow_leave_out(run, *source, err);
    return rc;
}

void sl_task_close(sl_run *run)
{
    sl_state_free_tables(run);
    sl_routes_free(run->routes);
    run->routes = NULL;
}
