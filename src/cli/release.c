/* release.c: `pgsluice release`: nothing of the task stays on either server but the data. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "copy/copy.h"
#include "task/resync.h"

/* Nobody may run the task while it is taken apart. */
static sl_rc take(const cli_args *args, cli_task *t, sl_error *err)
{
    bool exists;
    sl_rc rc = sl_state_exists(t->spec->state_schema, t->destination, &exists, err);
    if (rc != SL_OK || !exists)
        return rc;
    rc = sl_state_create(t->spec->state_schema, t->destination, err); /* an older one's version */
    if (rc == SL_OK)
        rc = sl_state_take(&t->run, t->destination, args->force, err);
    if (rc == SL_OK && t->source)
        sl_state_end_predecessors(&t->run, t->source);
    return rc;
}

static sl_rc remove_resyncs(cli_task *t, sl_error *err)
{
    bool exists;
    sl_rc rc = sl_state_exists(t->spec->state_schema, t->destination, &exists, err);
    return rc == SL_OK && exists ? sl_resync_remove_all(&t->run, t->source, t->destination, err)
                                 : rc;
}

static void print_left_over(const cli_task *t)
{
    SL_SCRATCH(tmp);
    printf("The source cannot be reached. When it is back, run there:\n\n");
    printf("  %s;\n", sl_sql(&tmp,
                             "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                             " WHERE slot_name = %L OR slot_name LIKE %L OR slot_name LIKE %L",
                             t->run.slot, sl_arena_printf(&tmp, "%s\\_r%%", t->run.slot),
                             sl_arena_printf(&tmp, "%s\\_t%%", t->run.slot)));
    if (!t->spec->publication) { /* which a source below 10 does not have */
        printf("  %s;\n", sl_sql(&tmp, "DROP PUBLICATION IF EXISTS %I", t->run.publication));
        printf("  %s;\n",
               sl_sql(&tmp, "DROP PUBLICATION IF EXISTS %I", t->run.publication_inserts));
    }
    printf("\n");
}

static sl_rc release(const cli_args *args, cli_task *t, sl_error *err)
{
    if (!t->source && !args->force) {
        *err = t->source_error;
        return sl_hint(err, "If the source is gone for good, use --force: the destination is "
                            "cleaned up and the SQL for the source is printed.");
    }
    if (!t->run.id[0]) {
        printf("Nothing to release: the destination knows no such task.\n");
        return SL_OK;
    }
    sl_rc rc = take(args, t, err);
    json_t *metered = rc == SL_OK && args->json ? sl_state_metered(&t->run) : NULL;
    if (metered) { /* what was written since the last worker spoke is told before it is forgotten */
        json_object_set_new(metered, "event", json_string("metered"));
        json_dumpf(metered, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(metered);
    }
    if (rc == SL_OK && t->source) {
        rc = sl_slot_drop(&t->run, t->source, err);
        if (rc == SL_OK)
            rc = sl_publications_drop(&t->run, t->source, err);
    }
    if (rc == SL_OK)
        rc = remove_resyncs(t, err);
    if (rc == SL_OK && args->keep_state)
        rc = sl_state_set_task(&t->run, t->destination, "stopped", "stopped by a user", err);
    else if (rc == SL_OK)
        rc = sl_state_remove(t->spec->state_schema, t->run.id, t->destination, err);
    if (rc != SL_OK)
        return rc;
    if (!t->source)
        print_left_over(t);
    printf("Task %s is %s. The data in the destination stays.\n", t->run.id,
           args->keep_state ? "stopped" : "released");
    return SL_OK;
}

int cmd_release(const cli_args *args)
{
    cli_task t = { 0 };
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = cli_open(args, false, false, &t, &err);
    if (rc == SL_OK)
        rc = release(args, &t, &err);
    cli_close(&t);
    return rc == SL_OK ? EXIT_DONE : cli_fail(args, &err);
}
