/* report.c: `pgsluice report`: what became of each schema object. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static sl_rc load(cli_task *t, PGresult **res, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *schema = t->spec->state_schema;
    if (sl_pg_query(t->destination,
                    sl_sql(&tmp,
                           "SELECT kind, identity, result, sqlstate, detail FROM %I.object WHERE"
                           " task_id = %L ORDER BY kind, identity",
                           schema, t->run.id),
                    res, err) != SL_OK)
        return sl_while(err, "reading the report in schema %s", schema);
    return SL_OK;
}

static void print_json(const PGresult *res, int i)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:s?, s:s?}", "kind", sl_cell(res, i, 0), "object",
                          sl_cell(res, i, 1), "result", sl_cell(res, i, 2), "sqlstate",
                          sl_cell(res, i, 3), "detail", sl_cell(res, i, 4));
    json_dumpf(o, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(o);
}

static void print_text(const PGresult *res)
{
    int created = 0;
    for (int i = 0; i < PQntuples(res); i++) {
        const char *detail = sl_cell(res, i, 4);
        if (strcmp(sl_cell(res, i, 2), "created") == 0 && ++created && !detail)
            continue;
        printf("%-11s %s %s%s%s\n", sl_cell(res, i, 2), sl_cell(res, i, 0), sl_cell(res, i, 1),
               detail ? ": " : "", detail ? detail : "");
    }
    printf("%d object%s created, %d not.\n", created, created == 1 ? "" : "s",
           PQntuples(res) - created);
}

int cmd_report(const cli_args *args)
{
    SL_RESULT(res);
    cli_task t = { 0 };
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = cli_open(args, false, true, &t, &err);
    if (rc == SL_OK)
        rc = load(&t, &res, &err);
    for (int i = 0; rc == SL_OK && args->json && i < PQntuples(res); i++)
        print_json(res, i);
    if (rc == SL_OK && !args->json)
        print_text(res);
    cli_close(&t);
    return rc == SL_OK ? EXIT_DONE : cli_fail(args, &err);
}
