/* resync.c: `pgsluice resync` and `pgsluice set-aside`: ask the task's worker for something with
 * one table. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "spec/names.h"

/* "schema.table" as labels have it (double quotes where a name has a dot), else at the first dot
 * for which there is such a table, else the whole as a table's name. */
static sl_rc request(cli_task *t, sl_request_kind kind, const char *name, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *parts[2];
    sl_rc rc = SL_NOT_FOUND;
    if (sl_names_split(name, parts, 2, &tmp) == 2)
        rc = sl_state_request(&t->run, t->destination, kind, parts[0], parts[1], err);
    if (rc == SL_NOT_FOUND)
        rc = sl_state_request(&t->run, t->destination, kind, NULL, name, err);
    for (const char *dot = strchr(name, '.'); rc == SL_NOT_FOUND && dot; dot = strchr(dot + 1, '.'))
        rc = sl_state_request(&t->run, t->destination, kind,
                              sl_arena_strndup(&tmp, name, (size_t)(dot - name)), dot + 1, err);
    return rc;
}

static int ask(const cli_args *args, const char *command, sl_request_kind kind, const char *missing)
{
    cli_task t = { 0 };
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = SL_OK;
    if (!args->action)
        rc = sl_fail(&err, SL_USAGE, "name the table: pgsluice %s %s SCHEMA.TABLE", command,
                     args->file);
    if (rc == SL_OK)
        rc = cli_open(args, false, true, &t, &err);
    if (rc == SL_OK)
        rc = request(&t, kind, args->action, &err);
    if (rc == SL_NOT_FOUND && err.code == SL_OK) {
        sl_fail(&err, SL_FAILED, "the task follows no table %s", args->action);
        sl_hint(&err, "`pgsluice status %s` lists its tables; %s.", args->file, missing);
    }
    if (rc == SL_OK)
        printf("Asked for. The running task begins within seconds, else the next run does.\n");
    cli_close(&t);
    return rc == SL_OK ? EXIT_DONE : cli_fail(args, &err);
}

int cmd_resync(const cli_args *args)
{
    return ask(args, "resync", SL_REQUEST_RESYNC,
               "one that is still being copied need not be resynchronized");
}

int cmd_set_aside(const cli_args *args)
{
    return ask(args, "set-aside", SL_REQUEST_SET_ASIDE,
               "only one that is synchronizing can be set aside");
}
