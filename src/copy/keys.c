/* keys.c: keys that did not fit the copied rows are tried again.
 *
 * After a restart inside the copy, tables are copied at different moments: a child's rows can refer
 * to a parent that only the stream brings. Such a key is recorded as failed at the end of the copy.
 * The same goes for the unique indexes of a table whose ranges were copied at different moments,
 * and for the constraints and foreign keys that need them. Once every table is in step it fits;
 * what then still fails stays recorded, and was reported. */
#include <string.h>

#include "copy/internal.h"

/* No parent yet; not unique yet, or deferred; nothing unique to refer to; no index to take over. */
#define STATES "'23503', '23505', '42830', '42704'"

static sl_rc any_failed(sl_run *run, sl_pg *destination, bool *any, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    if (sl_pg_query(destination,
                    sl_sql(&tmp,
                           "SELECT 1 FROM %I.object WHERE task_id = %L AND result = 'failed'"
                           " AND sqlstate IN (" STATES ") LIMIT 1",
                           run->spec->state_schema, run->id),
                    &res, err) != SL_OK)
        return sl_while(err, "looking for keys to try again");
    *any = PQntuples(res) > 0;
    return SL_OK;
}

static bool is_failed(const sl_map *recorded, const char *kind, const char *identity)
{
    SL_BUF(key);
    sl_buf_add(&key, kind, strlen(kind) + 1);
    sl_buf_puts(&key, identity);
    return (intptr_t)sl_map_get(recorded, key.data, key.len) == SL_OBJECT_FAILED + 1;
}

static sl_rc retry(sl_member *m, sl_error *err)
{
    sl_schema *schema = NULL;
    sl_map *recorded = NULL;
    if (sl_member_destination(m, err) != SL_OK || sl_member_source(m, err) != SL_OK)
        return err->code;
    sl_rc rc = sl_schema_load(m->run, m->source, m->destination->version, &schema, err);
    if (rc == SL_OK)
        rc = sl_builder_settings(m->run, m->destination, 1, err);
    if (rc == SL_OK)
        rc = sl_state_load_objects(m->run, m->destination, &recorded, err);
    for (size_t i = 0; rc == SL_OK && i < schema->n && !sl_stopping(m->stop); i++) {
        sl_object *o = &schema->objects[i];
        if (o->phase != SL_PHASE_PRE && o->route && !o->unsupported &&
            (is_failed(recorded, o->kind, o->identity) ||
             is_failed(recorded, "validation", o->identity)))
            rc = sl_schema_apply(m->run, schema, o, m->destination, err);
    }
    sl_map_free(recorded);
    sl_schema_free(schema);
    return rc;
}

sl_rc sl_copy_retry_keys(sl_run *run, sl_error *err)
{
    bool any = false;
    SL_PG(destination);
    sl_crew_work work = { .work = retry };
    if (sl_run_connect(run, SL_DESTINATION, "foreign keys", 0, &destination, err) != SL_OK ||
        any_failed(run, destination, &any, err) != SL_OK)
        return err->code;
    return any ? sl_crew_run(run, 1, &work, err) : SL_OK;
}
