/* schema_tool: the stage `schema` alone, for tests: schema_tool SPEC [--print]
 *
 * Creates everything of all phases and sets the sequences, or prints the objects with their SQL.
 * Ends with one line "kind identity: result reason" per object that was not created. Exit code 0
 * or 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "schema/schema.h"
#include "state/state.h"
#include "task/task.h"

static void print_objects(const sl_schema *schema)
{
    static const char *const phases[] = { "pre", "index", "post" };
    for (size_t i = 0; i < schema->n; i++) {
        const sl_object *o = &schema->objects[i];
        printf("-- %s: %s %s%s%s\n", phases[o->phase], o->kind, o->identity,
               o->unsupported ? ": " : "", o->unsupported ? o->unsupported : "");
        if (o->detail)
            printf("-- %s\n", o->detail);
        printf("%s\n%s\n%s\n", o->sql ? o->sql : "", o->after_sql ? o->after_sql : "",
               o->validate_sql ? o->validate_sql : "");
    }
}

static void sink(void *self, const char *event, const json_t *fields)
{
    char *text = json_dumps(fields, JSON_COMPACT | JSON_SORT_KEYS);
    printf("%s %s\n", event, text);
    free(text);
}

static sl_rc create_all(sl_run *run, sl_schema *schema, sl_pg *source, sl_pg *destination,
                        sl_error *err)
{
    sl_rc rc = SL_OK;
    for (int phase = SL_PHASE_PRE; phase <= SL_PHASE_POST && rc == SL_OK; phase++)
        rc = sl_schema_apply_phase(run, schema, (sl_phase)phase, destination, err);
    if (rc == SL_OK)
        rc = sl_schema_sync_sequences(run, source, destination, err);
    return rc;
}

static sl_rc work(sl_run *run, bool print, sl_error *err)
{
    SL_PG(source);
    SL_PG(destination);
    SL_PG(keeper);
    sl_schema *schema = NULL;
    sl_rc rc = sl_task_open(run, SL_NEED_SOURCE | SL_NEED_DESTINATION | SL_NEED_ROUTES, &source,
                            &destination, err);
    if (rc == SL_OK)
        rc = sl_schema_load(run, source, destination->version, &schema, err);
    if (rc == SL_OK && print)
        print_objects(schema);
    if (rc == SL_OK && !print) {
        rc = sl_state_create(run->spec->state_schema, destination, err);
        if (rc == SL_OK)
            rc = sl_run_connect(run, SL_DESTINATION, "keeper", 0, &keeper, err);
        if (rc == SL_OK)
            rc = sl_state_take(run, keeper, false, err);
        if (rc == SL_OK)
            rc = create_all(run, schema, source, destination, err);
    }
    sl_schema_free(schema);
    return rc;
}

int main(int argc, char **argv)
{
    char text[4000];
    sl_spec *spec = NULL;
    sl_stop stop;
    sl_error err = SL_ERROR_INIT;
    sl_run run = { .sink = sink, .stop = &stop };
    if (argc < 2 || !sl_stop_init(&stop))
        return 2;
    sl_rc rc = sl_spec_read(argv[1], &spec, &err);
    if (rc == SL_OK) {
        run.spec = spec;
        rc = work(&run, argc > 2 && strcmp(argv[2], "--print") == 0, &err);
        sl_task_close(&run);
        sl_spec_free(spec);
    }
    sl_stop_free(&stop);
    if (rc != SL_OK)
        fprintf(stderr, "%s\n", sl_error_text(&err, text, sizeof(text)));
    return rc == SL_OK ? 0 : 1;
}
