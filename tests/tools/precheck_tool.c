/* precheck_tool.c: runs the precheck of a specification and prints its findings as JSON, for
 * tests/integration/test_precheck.py. Exit codes as pgsluice check. */
#include <jansson.h>
#include <stdio.h>
#include "task/task.h"

static int print(const sl_findings *findings)
{
    json_t *items = json_array();
    for (size_t i = 0; i < findings->n; i++)
        json_array_append_new(items, sl_finding_json(&findings->items[i]));
    json_t *out = json_pack("{s:o, s:b, s:i}", "findings", items, "pass",
                            sl_findings_pass(findings), "rate", sl_findings_rate(findings));
    json_dumpf(out, stdout, 0);
    json_decref(out);
    return sl_findings_pass(findings) ? 0 : 3;
}

int main(int argc, char **argv)
{
    sl_spec *spec = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_stop stop;
    sl_findings findings = { 0 };
    SL_PG(source);
    SL_PG(destination);
    if (argc != 2 || sl_spec_read(argv[1], &spec, &err) != SL_OK || !sl_stop_init(&stop)) {
        fprintf(stderr, "%s\n", err.message);
        return 2;
    }
    sl_run run = { .spec = spec, .stop = &stop };
    unsigned need = SL_NEED_SOURCE | SL_NEED_DESTINATION | SL_NEED_ROUTES;
    sl_rc rc = sl_task_open(&run, need, &source, &destination, &err);
    if (rc != SL_OK && rc != SL_USAGE)
        sl_precheck_unreachable(source ? SL_DESTINATION : SL_SOURCE, &err, &findings);
    else if (rc == SL_OK)
        rc = sl_precheck_run(&run, source, destination, &findings, &err);
    int code = rc == SL_USAGE ? 2 : findings.n ? print(&findings) : 1;
    if (rc != SL_OK)
        fprintf(stderr, "%s (%s)\n%s\n", err.message, err.where, err.hint);
    sl_findings_free(&findings);
    sl_task_close(&run);
    sl_spec_free(spec);
    sl_stop_free(&stop);
    return code;
}
