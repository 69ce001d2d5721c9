/* open.c: a task for commands that look at it from outside. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

/* Without the source its system id is unknown, so the task is looked up by name. */
static sl_rc find_id(cli_task *t, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    bool exists;
    const char *schema = t->spec->state_schema;
    if (sl_state_exists(schema, t->destination, &exists, err) != SL_OK)
        return err->code;
    if (!exists)
        return SL_NOT_FOUND;
    const char *by = t->spec->id
                         ? sl_sql(&tmp, "task_id = %L", t->spec->id)
                         : sl_sql(&tmp, "name = %L AND source_database = %L",
                                  t->spec->name ? t->spec->name : "", t->spec->source.database);
    if (sl_pg_query(t->destination,
                    sl_sql(&tmp,
                           "SELECT task_id FROM %I.task WHERE %s AND task_id NOT LIKE '%%\\_r%%'",
                           schema, by),
                    &res, err) != SL_OK)
        return err->code;
    if (PQntuples(res) == 0)
        return SL_NOT_FOUND;
    if (PQntuples(res) > 1) {
        sl_fail(err, SL_FAILED,
                "%d tasks in the destination are named %s, and the source cannot be "
                "reached to tell which is meant",
                PQntuples(res), t->spec->name ? t->spec->name : "");
        return sl_hint(err, "Put the task's `id` into the specification.");
    }
    snprintf(t->run.id, sizeof(t->run.id), "%s", PQgetvalue(res, 0, 0));
    snprintf(t->run.slot, sizeof(t->run.slot), "pgsluice_%s", t->run.id);
    snprintf(t->run.publication, sizeof(t->run.publication), "%s",
             t->spec->publication ? t->spec->publication : t->run.slot);
    snprintf(t->run.publication_inserts, sizeof(t->run.publication_inserts), "pgsluice_%s_inserts",
             t->run.id);
    return SL_OK;
}

static sl_rc exists_in_destination(cli_task *t, sl_error *err)
{
    SL_SCRATCH(tmp);
    SL_RESULT(res);
    bool exists;
    sl_rc rc = sl_state_exists(t->spec->state_schema, t->destination, &exists, err);
    if (rc != SL_OK || !exists)
        return rc == SL_OK ? SL_NOT_FOUND : rc;
    rc = sl_pg_query(t->destination,
                     sl_sql(&tmp, "SELECT 1 FROM %I.task WHERE task_id = %L", t->spec->state_schema,
                            t->run.id),
                     &res, err);
    return rc != SL_OK ? rc : PQntuples(res) > 0 ? SL_OK : SL_NOT_FOUND;
}

sl_rc cli_open(const cli_args *args, bool need_source, bool must_exist, cli_task *t, sl_error *err)
{
    if (sl_spec_read(args->file, &t->spec, err) != SL_OK)
        return err->code;
    t->run.spec = t->spec;
    t->run.stop = &t->stop;
    if (!sl_stop_init(&t->stop))
        return sl_fail_errno(err, SL_FAILED, "cannot start");
    sl_rc rc = sl_task_open(&t->run, SL_NEED_DESTINATION, NULL, &t->destination, err);
    if (rc != SL_OK)
        return rc;
    rc = sl_task_open(&t->run, SL_NEED_SOURCE, &t->source, NULL, &t->source_error);
    if (rc != SL_OK && need_source) {
        *err = t->source_error;
        return rc;
    }
    rc = rc == SL_OK ? exists_in_destination(t, err) : find_id(t, err);
    if (rc == SL_NOT_FOUND && must_exist) {
        sl_fail(err, SL_FAILED, "the destination knows no task of %s (schema %s)", args->file,
                t->spec->state_schema);
        return sl_hint(err, "It has not been run yet, or was released: pgsluice run %s",
                       args->file);
    }
    return rc == SL_NOT_FOUND ? SL_OK : rc;
}

void cli_close(cli_task *t)
{
    sl_pg_close(t->source);
    sl_pg_close(t->destination);
    sl_task_close(&t->run);
    sl_spec_free(t->spec);
    if (t->run.stop == &t->stop)
        sl_stop_free(&t->stop);
}
