/* run.c: `pgsluice run` and `pgsluice check`. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/display.h"
#include "core/log.h"
#include "spec/classes.h"

/* A signal handler has no argument: the one stop of this process. */
static sl_stop the_stop;

static void on_signal(int number)
{
    if (sl_stopping(&the_stop)) { /* the second time: at once; the state is safe anyway */
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    sl_stop_request(&the_stop, number);
}

static bool catch_signals(void)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    if (!sl_stop_init(&the_stop))
        return false;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction action = { .sa_handler = on_signal };
        sigemptyset(&action.sa_mask);
        sigaction(signals[i], &action, NULL);
    }
    return true;
}

sl_stop *cli_catch_signals(void)
{
    return catch_signals() ? &the_stop : NULL;
}

int cmd_run(const cli_args *args)
{
    sl_error err = SL_ERROR_INIT;
    sl_spec *spec = NULL;
    if (!catch_signals())
        sl_fail_errno(&err, SL_FAILED, "cannot watch for signals");
    if (err.code == SL_OK && args->control)
        cli_control_spec(&spec, &err);
    else if (err.code == SL_OK)
        sl_spec_read(args->file, &spec, &err);
    if (err.code != SL_OK)
        return cli_fail(args, &err);
    static sl_limits limits; /* the listening thread outlives this function */
    sl_rate_init(&limits.rate, sl_class_find(spec->class_name)->rows_per_second);
    if (args->control)
        cli_control_listen(&limits);
    display *d = display_new(args, spec->name);
    sl_task_options options = {
        .until_caught_up = args->until_caught_up,
        .takeover = args->takeover,
        .limits = &limits,
        .stop = &the_stop,
        .sink = display_event,
        .sink_self = d,
        .findings = display_findings,
        .started = display_started,
        .self = d,
    };
    sl_rc rc = sl_task_run(spec, &options, &err);
    display_free(d);
    sl_spec_free(spec);
    if (rc == SL_OK || rc == SL_CANCELLED) {
        if (!args->json && !args->quiet)
            printf("%s\n", rc == SL_OK ? (args->until_caught_up ? "Caught up." : "Complete.")
                                       : "Stopped; run it again to go on.");
        return EXIT_DONE;
    }
    return cli_fail(args, &err);
}

static sl_rc check(const cli_args *args, cli_task *t, sl_findings *findings, sl_error *err)
{
    sl_error why = SL_ERROR_INIT;
    if (sl_spec_read(args->file, &t->spec, err) != SL_OK)
        return err->code;
    t->run.spec = t->spec;
    t->run.stop = &the_stop;
    sl_rc rc = sl_task_open(&t->run, SL_NEED_SOURCE | SL_NEED_DESTINATION | SL_NEED_ROUTES,
                            &t->source, &t->destination, &why);
    if (rc == SL_OK)
        return sl_precheck_run(&t->run, t->source, t->destination, findings, err);
    if (t->source && t->destination) {
        *err = why;
        return rc;
    }
    sl_precheck_unreachable(t->source ? SL_DESTINATION : SL_SOURCE, &why, findings);
    return SL_OK;
}

static void print_check(const cli_args *args, const sl_findings *findings)
{
    for (size_t i = 0; args->json && i < findings->n; i++) {
        json_t *o = sl_finding_json(&findings->items[i]);
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(o);
    }
    if (args->json)
        return;
    cli_print_findings(findings, false);
    printf("\nSuccess rate %d %%: %s\n", sl_findings_rate(findings),
           sl_findings_pass(findings) ? "the task can start."
                                      : "carry out the remedies above and check again.");
}

int cmd_check(const cli_args *args)
{
    sl_error err = SL_ERROR_INIT;
    cli_task t = { 0 };
    sl_findings findings = { .only = args->only };
    int code = EXIT_FAILED;
    if (!catch_signals())
        sl_fail_errno(&err, SL_FAILED, "cannot watch for signals");
    if (err.code == SL_OK && args->only && !sl_precheck_knows(args->only)) {
        sl_fail(&err, SL_USAGE, "there is no check %s", args->only);
        sl_hint(&err, "`pgsluice check FILE --json` names them all; so does docs/precheck.md.");
    }
    if (err.code != SL_OK || check(args, &t, &findings, &err) != SL_OK) {
        code = cli_fail(args, &err);
    } else {
        print_check(args, &findings);
        code = sl_findings_pass(&findings) ? EXIT_DONE : EXIT_PRECHECK;
    }
    sl_findings_free(&findings);
    cli_close(&t);
    return code;
}
