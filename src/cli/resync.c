/* resync.c: `pgsluice resync`: asks the task's worker for one table again. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "spec/names.h"

/* "schema.table" as labels have it (double quotes where a name has a dot), else at the first dot for
 * which there is such a table, else the whole as a table's name. */
static sl_rc request(cli_task *t, const char *name, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *parts[2];
    sl_rc rc = SL_NOT_FOUND;
    if (sl_names_split(name, parts, 2, &tmp) == 2)
        rc = sl_state_request_resync(&t->run, t->destination, parts[0], parts[1], err);
    if (rc == SL_NOT_FOUND)
        rc = sl_state_request_resync(&t->run, t->destination, NULL, name, err);
    for (const char *dot = strchr(name, '.'); rc == SL_NOT_FOUND && dot; dot = strchr(dot + 1, '.'))
        rc = sl_state_request_resync(&t->run, t->destination,
                                     sl_arena_strndup(&tmp, name, (size_t)(dot - name)), dot + 1,
                                     err);
    return rc;
}

int cmd_resync(const cli_args *args)
{
    cli_task t = { 0 };
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = SL_OK;
    if (!args->action)
        rc = sl_fail(&err, SL_USAGE, "name the table: pgsluice resync %s SCHEMA.TABLE", args->file);
    if (rc == SL_OK)
        rc = cli_open(args, false, true, &t, &err);
    if (rc == SL_OK)
        rc = request(&t, args->action, &err);
    if (rc == SL_NOT_FOUND && err.code == SL_OK) {
        sl_fail(&err, SL_FAILED, "the task follows no table %s", args->action);
        sl_hint(&err,
                "`pgsluice status %s` lists its tables; one that is still being copied need not "
                "be resynchronized.",
                args->file);
    }
    if (rc == SL_OK)
        printf("Asked for. The running task begins within seconds, else the next run does.\n");
    cli_close(&t);
    return rc == SL_OK ? EXIT_DONE : cli_fail(args, &err);
}
