/* build.c: what a table needs when its rows are in: indexes and statistics. */
#include <string.h>
#include "copy/internal.h"
#include "spec/classes.h"

#define BUILD_MEMORY_MB 1024 /* for all builders together */
#define LEAST_MEMORY_MB 64
#define DEADLOCK_TRIES 10

/* Never less than what the server's administrator has set. synchronous_commit stays off: what a
 * crash could lose is redone, for its record is lost with it. */
sl_rc sl_builder_settings(const sl_run *run, sl_pg *destination, int builders, sl_error *err)
{
    SL_SCRATCH(tmp);
    const sl_class *class = sl_class_find(run->spec->class_name);
    int all = class && class->memory_bytes ? (int)(class->memory_bytes >> 20) : BUILD_MEMORY_MB;
    int mb = all / (builders > 0 ? builders : 1);
    if (mb < LEAST_MEMORY_MB)
        mb = all < LEAST_MEMORY_MB ? all : LEAST_MEMORY_MB;
    return sl_pg_exec(
        destination,
        sl_sql(&tmp,
               "SELECT pg_catalog.set_config(name, '%dMB', false) FROM pg_catalog.pg_settings"
               " WHERE name = 'maintenance_work_mem' AND setting::int8 < %d * 1024", /* in kB */
               mb, mb),
        err);
}

sl_rc sl_analyze(sl_run *run, sl_pg *destination, sl_table *table, sl_error *err)
{
    SL_SCRATCH(tmp);
    sl_error why = SL_ERROR_INIT;
    const char *label = sl_route_label(table->route, &tmp);
    sl_rc rc = sl_pg_exec(destination,
                          sl_sql(&tmp, "ANALYZE %s", sl_route_dst_sql(table->route, &tmp)), &why);
    if (rc == SL_FAILED) { /* statistics are no data: told, not fatal */
        sl_event(run, "table.not_analyzed", "{s:s, s:s}", "table", label, "message",
                 sl_arena_printf(&tmp, "%s could not be analyzed: %s", label, why.message));
        rc = SL_OK;
    } else if (rc != SL_OK) {
        *err = why;
        return sl_while(err, "analyzing table %s", label);
    }
    table->analyzed = true;
    return rc;
}

/* By an earlier run; then nothing is built now. */
static bool is_recorded(const sl_schema *schema, const sl_object *object)
{
    SL_BUF(key);
    sl_buf_puts(&key, object->kind);
    sl_buf_putc(&key, '\0');
    sl_buf_puts(&key, object->identity);
    return object->done || (schema->recorded && sl_map_get(schema->recorded, key.data, key.len) ==
                                                    (void *)(intptr_t)(SL_OBJECT_CREATED + 1));
}

sl_rc sl_apply_object(sl_run *run, sl_schema *schema, sl_object *object, sl_pg *destination,
                      sl_error *err)
{
    int64_t began = sl_mono_us();
    bool before = is_recorded(schema, object);
    sl_rc rc = SL_OK;
    for (int i = 0; i < DEADLOCK_TRIES; i++) {
        sl_error why = SL_ERROR_INIT;
        rc = sl_schema_apply(run, schema, object, destination, &why);
        if (rc == SL_OK)
            break;
        if (strcmp(why.sqlstate, "40P01") != 0 || i + 1 == DEADLOCK_TRIES) {
            *err = why;
            return rc;
        }
    }
    if (object->phase == SL_PHASE_INDEX)
        run->progress.indexes_done++;
    if (!before && object->done == SL_OBJECT_CREATED + 1 && object->phase == SL_PHASE_INDEX)
        sl_event(run, "index.built", "{s:s, s:s, s:f}", "kind", object->kind, "name",
                 object->identity, "seconds", (double)(sl_mono_us() - began) / 1e6);
    return rc;
}
