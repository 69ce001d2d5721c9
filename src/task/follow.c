/* follow.c: see follow.h. */
#include "task/follow.h"

#include <stdio.h>
#include <string.h>

#include "core/log.h"

/* Tables, their indexes and their places in trees, cheaply: an OID is not used twice for long. */
static const char mark_sql[] =
    "SELECT count(*) || ' ' || coalesce(sum(c.oid::int8), 0) || ' ' ||"
    " (SELECT count(*) || ' ' || coalesce(sum(i.inhrelid::int8), 0) FROM pg_catalog.pg_inherits i)"
    " FROM pg_catalog.pg_class c WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'i', 'I')"
    " AND c.relpersistence <> 't'";

/* Somebody works at it (a load, the building of its indexes): publishing it would wait, and all
 * others with it. Not told, for it ends by itself. */
static const char is_locked[] = "it is locked";

static const char could_not_be_made[] = "it could not be created in the destination";

/* ---- can it be followed? ---- */

static const char *no_identity(const sl_route *r)
{
    bool needs = r->relkind == 'r' && r->persistence == 'p' &&
                 (r->operations & (SL_OP_UPDATE | SL_OP_DELETE));
    return needs && r->identity == SL_IDENTITY_NOTHING
               ? "it has no primary key or other row identity (or give it `keyless`)"
               : NULL;
}

/* May it be read, does the role own it, is it in the specification's publication, is it free? */
static const char *rights_sql(const sl_run *run, const sl_route *r, sl_arena *arena)
{
    const char *listed =
        run->spec->publication
            ? sl_sql(arena,
                     "EXISTS (SELECT 1 FROM pg_catalog.pg_publication_tables WHERE pubname = %L"
                     " AND schemaname = %L AND tablename = %L)",
                     run->spec->publication, r->src_schema, r->src_table)
            : "true";
    return sl_sql(arena,
                  "SELECT pg_catalog.has_table_privilege(c.oid, 'SELECT'),"
                  " pg_catalog.pg_has_role(c.relowner, 'USAGE'), %s, EXISTS (SELECT 1 FROM"
                  " pg_catalog.pg_locks l WHERE l.locktype = 'relation' AND l.relation = c.oid AND"
                  " l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname ="
                  " pg_catalog.current_database()) AND l.granted AND l.mode IN ('ShareLock',"
                  " 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))"
                  " FROM pg_catalog.pg_class c WHERE c.oid = %u",
                  listed, r->oid);
}

static sl_rc no_rights(const sl_run *run, const sl_route *r, sl_pg *source, const char **reason,
                       sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    if (sl_pg_query(source, rights_sql(run, r, &tmp), &res, err) != SL_OK)
        return err->code;
    bool published = sl_run_publishes(run);
    bool alters = r->identity == SL_IDENTITY_FULL && r->replica_identity != 'f';
    if (PQntuples(res) == 0)
        *reason = "it is gone again";
    else if (!sl_cell_bool(res, 0, 0))
        *reason = "the source's role may not read it (GRANT SELECT)";
    else if (published && !run->spec->publication && !sl_cell_bool(res, 0, 1))
        *reason = "the source's role does not own it and so cannot publish it";
    else if (alters && !sl_cell_bool(res, 0, 1))
        *reason = "the source's role does not own it (ALTER TABLE … REPLICA IDENTITY FULL)";
    else if (published && !sl_cell_bool(res, 0, 2) && r->relkind == 'r')
        *reason =
            "the specification's publication does not have it (ALTER PUBLICATION … ADD TABLE)";
    else if (sl_cell_bool(res, 0, 3))
        *reason = is_locked;
    return SL_OK;
}

/* With the schema stage something else that has its name, made by another task or hand; without it,
 * that it is not there. */
static sl_rc no_place(sl_run *run, const sl_route *r, const char **reason, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    SL_PG(destination);
    if (sl_run_connect(run, SL_DESTINATION, "destination catalog", 0, &destination, err) != SL_OK ||
        sl_pg_query(destination,
                    sl_sql(&tmp,
                           "SELECT pg_catalog.to_regclass(%L) IS NOT NULL, EXISTS (SELECT 1"
                           " FROM %I.object WHERE task_id = %L AND kind = 'table' AND identity = %L"
                           " AND result = 'created')",
                           sl_route_dst_sql(r, &tmp), run->spec->state_schema, run->id,
                           sl_route_label(r, &tmp)),
                    &res, err) != SL_OK)
        return err->code;
    bool there = sl_cell_bool(res, 0, 0), ours = sl_cell_bool(res, 0, 1);
    if (!(run->spec->stages & SL_STAGE_SCHEMA) && !there)
        *reason = "the destination does not have it, and the schema stage is not selected";
    else if (run->spec->stages & SL_STAGE_SCHEMA && there && !ours &&
             run->spec->conflict != SL_CONFLICT_PROCEED)
        *reason = "the destination has something of that name";
    return SL_OK;
}

static sl_rc why_not(sl_run *run, const sl_route *r, sl_pg *source, const char **reason,
                     sl_error *err)
{
    *reason = no_identity(r);
    if (!*reason && no_rights(run, r, source, reason, err) != SL_OK)
        return err->code;
    if (!*reason && no_place(run, r, reason, err) != SL_OK)
        return err->code;
    return SL_OK;
}

/* ---- looking ---- */

/* Tells a reason once. */
static void leave_out(sl_run *run, const sl_route *r, const char *reason)
{
    SL_SCRATCH(tmp);
    if (!run->left_out)
        run->left_out = sl_map_new();
    const char *told = sl_map_get(run->left_out, &r->oid, sizeof(r->oid));
    sl_map_put(run->left_out, &r->oid, sizeof(r->oid), (void *)reason);
    if (told != reason && reason != is_locked)
        sl_event(run, "table.not_followed", "{s:s, s:s}", "table", sl_route_label(r, &tmp),
                 "reason", reason);
}

sl_rc sl_follow_give_up(worker *w, sl_error *err)
{
    sl_run *run = &w->run;
    size_t n = 0;
    for (size_t i = 0; i < run->routes->n; i++) {
        const sl_table *t = &run->tables[i];
        if (t->state != SL_TABLE_WAITING || t->created)
            continue;
        leave_out(run, t->route, could_not_be_made);
        n++;
    }
    if (n == 0)
        return err->code;
    sl_log_error(err, "new tables are left out until the task is run again");
    sl_error_clear(err);
    run->new_tables = true;
    return sl_fail(err, SL_TRANSIENT, "going on without new tables");
}

static bool is_known(const sl_run *run, const sl_route *r)
{
    return sl_route_by_oid(run->routes, r->oid) ||
           sl_route_find(run->routes, r->src_schema, r->src_table) ||
           (run->left_out &&
            sl_map_get(run->left_out, &r->oid, sizeof(r->oid)) == could_not_be_made);
}

/* What a look finds. */
typedef struct finding {
    size_t n;   /* tables to follow */
    bool again; /* some are only locked */
} finding;

static sl_rc compare(sl_run *run, const sl_routes *now, sl_pg *source, finding *f, sl_error *err)
{
    SL_SCRATCH(tmp);
    for (size_t i = 0; i < now->n; i++) {
        const sl_route *r = &now->items[i];
        const char *reason = NULL;
        if (is_known(run, r))
            continue;
        if (why_not(run, r, source, &reason, err) != SL_OK)
            return err->code;
        f->again |= reason == is_locked;
        if (reason) {
            leave_out(run, r, reason);
            continue;
        }
        if (run->left_out)
            sl_map_put(run->left_out, &r->oid, sizeof(r->oid), NULL);
        sl_event(run, "table.found", "{s:s}", "table", sl_route_label(r, &tmp));
        f->n++;
    }
    return SL_OK;
}

/* Has something changed since the last look that ended well? */
static sl_rc read_mark(sl_follow *f, sl_pg *source, char mark[64], bool *changed, sl_error *err)
{
    SL_RESULT(res);
    if (sl_pg_query(source, mark_sql, &res, err) != SL_OK)
        return err->code;
    snprintf(mark, sizeof(f->mark), "%s", sl_cell(res, 0, 0));
    *changed = strcmp(mark, f->mark) != 0;
    return SL_OK;
}

void sl_follow_look(void *self, sl_pg *source)
{
    sl_follow *f = self;
    sl_run *run = &f->w->run;
    sl_error err = SL_ERROR_INIT;
    sl_routes *now = NULL;
    finding found = { 0 };
    char mark[64];
    bool changed = false;
    if (run->new_tables || sl_resync_busy(f->resync) ||
        read_mark(f, source, mark, &changed, &err) != SL_OK || !changed)
        return;
    sl_rc rc = sl_routes_resolve(run->spec, source, &now, &err);
    if (rc == SL_OK)
        rc = compare(run, now, source, &found, &err);
    sl_routes_free(now);
    if (rc == SL_FAILED || rc == SL_USAGE) /* told once: what is there now does not fit */
        sl_log_error(&err, "what is new on the source cannot be followed");
    else if (rc != SL_OK || found.again)
        mark[0] = '\0';
    memcpy(f->mark, mark, sizeof(mark));
    if (rc != SL_OK || found.n == 0)
        return;
    run->new_tables = true;
    sl_gate_wake(run->gate);
}

void sl_follow_note_known(sl_run *run)
{
    if (!run->known)
        run->known = sl_map_new();
    for (size_t i = 0; run->routes && i < run->routes->n; i++)
        sl_map_put(run->known, &run->routes->items[i].oid, sizeof(uint32_t), run);
}

sl_rc sl_follow_leave_out(sl_run *run, sl_pg *source, sl_error *err)
{
    for (size_t i = 0; run->known && i < run->routes->n; i++) {
        const sl_route *r = &run->routes->items[i];
        const char *reason = NULL;
        if (sl_map_get(run->known, &r->oid, sizeof(r->oid)) ||
            (run->left_out && sl_map_get(run->left_out, &r->oid, sizeof(r->oid))))
            continue;
        if (why_not(run, r, source, &reason, err) != SL_OK)
            return err->code;
        if (reason)
            leave_out(run, r, reason);
    }
    if (run->left_out)
        sl_routes_remove(run->routes, run->left_out);
    return SL_OK;
}
