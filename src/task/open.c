/* open.c: identity of a task: connections, servers, id, names, routes. */
#include <stdio.h>
#include <string.h>

#include "task/follow.h"

/* The id of a task that is being run stays: another one means another server. */
static sl_rc set_names(sl_run *run, sl_error *err)
{
    const sl_spec *spec = run->spec;
    char id[sizeof(run->id)];
    sl_task_id(spec, run->source.system_id, run->source.database, run->destination.system_id,
               run->destination.database, id);
    if (run->epoch > 0 && strcmp(id, run->id) != 0) {
        sl_fail(err, SL_FAILED,
                "the source or the destination is another server now (system identifiers %s, %s)",
                run->source.system_id, run->destination.system_id);
        return sl_hint(err, "Point the specification at the servers that the task began with, or "
                            "release the task and start it anew.");
    }
    snprintf(run->id, sizeof(run->id), "%s", id);
    snprintf(run->slot, sizeof(run->slot), "pgsluice_%s", run->id);
    snprintf(run->publication, sizeof(run->publication), "%s",
             spec->publication ? spec->publication : run->slot);
    snprintf(run->publication_inserts, sizeof(run->publication_inserts), "pgsluice_%s_inserts",
             run->id);
    snprintf(run->application, sizeof(run->application), "pgsluice/%s", run->id);
    return SL_OK;
}

static sl_rc open_side(sl_run *run, sl_side side, const char *name, sl_pg **pg, sl_error *err)
{
    sl_server *server = side == SL_SOURCE ? &run->source : &run->destination;
    if (!run->application[0])
        snprintf(run->application, sizeof(run->application), "pgsluice");
    if (sl_run_connect(run, side, name, 0, pg, err) != SL_OK)
        return err->code;
    if (sl_pg_server(*pg, server, err) != SL_OK)
        sl_pg_closep(pg); /* it counts as not reached */
    return err->code;
}

/* Where pg_control_system() is not for us, a replication connection still tells the system id. One
 * that fails for the moment must not make another task of it. */
static sl_rc find_source_system(sl_run *run, sl_error *err)
{
    SL_PG(walsender);
    sl_system system;
    sl_error why = SL_ERROR_INIT;
    if (run->source.system_id[0])
        return SL_OK;
    if (sl_run_connect(run, SL_SOURCE, "source identification", SL_CONNECT_REPLICATION, &walsender,
                       &why) != SL_OK) {
        if (why.code != SL_TRANSIENT)
            return SL_OK; /* the precheck tells why, with the remedy */
        *err = why;
        return why.code;
    }
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
    if (rc != SL_OK && need & SL_NEED_SOURCE)
        sl_pg_closep(source);
    if (rc == SL_OK && need & SL_NEED_DESTINATION)
        rc = open_side(run, SL_DESTINATION, "destination session", destination, err);
    if (rc == SL_OK)
        rc = set_names(run, err);
    if (rc != SL_OK)
        return rc;
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
