/* main.c: the command line: one table of commands, one of options. */
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "core/log.h"

enum {
    OPT_JSON = 1,
    OPT_UNTIL = 2,
    OPT_TAKEOVER = 4,
    OPT_FORCE = 8,
    OPT_LSN = 16,
    OPT_ALL = 32,
    OPT_VERBOSE = 64,
    OPT_QUIET = 128,
    OPT_ONLY = 256,
    OPT_KEEP = 512,
    OPT_CONTROL = 1024,
    OPT_NAMES = 2048,
};

static const struct command {
    const char *name, *words; /* words: positional arguments */
    unsigned options;
    int (*run)(const cli_args *args);
    const char *summary, *help;
} commands[] = {
    { "run", "FILE", OPT_JSON | OPT_UNTIL | OPT_TAKEOVER | OPT_VERBOSE | OPT_QUIET | OPT_CONTROL,
      cmd_run, "synchronize: schema, rows, then every change, until stopped",
      "Checks first (exit 3 if the precheck fails), then does the stages of the specification. "
      "Running it\n"
      "again goes on where it was; all state is kept in the destination. Ctrl-C stops cleanly.\n" },
    { "check", "FILE", OPT_JSON | OPT_VERBOSE | OPT_ONLY, cmd_check,
      "look at both servers and say what has to change before a run",
      "Changes nothing. Exit 0 when a run could start, 3 when not.\n" },
    { "plan", "FILE", OPT_JSON | OPT_NAMES, cmd_plan,
      "show the task's id, where each table goes, and the DDL", "Changes nothing.\n" },
    { "status", "FILE", OPT_JSON, cmd_status, "show how far the task is",
      "Reads the destination's state and the source's slot; works while a run is going and when "
      "not.\n" },
    { "errors", "FILE list|retry|skip", OPT_JSON | OPT_ALL, cmd_errors,
      "list changes that could not be applied; retry or skip them",
      "  errors FILE list            every change that is stopped at or set aside, with its "
      "remedy\n"
      "  errors FILE retry ID|--all  apply a change that was set aside as it was then\n"
      "  errors FILE skip ID|--all   leave it out: a stopped run goes on behind it when run "
      "again\n" },
    { "skip", "FILE", OPT_LSN | OPT_JSON, cmd_skip,
      "leave out the whole source transaction that commits at --lsn",
      "The next run does not apply it. The LSN is in the error message and in `errors FILE "
      "list`.\n" },
    { "resync", "FILE TABLE", OPT_JSON, cmd_resync,
      "bring one table's rows in step anew, while all others go on",
      "TABLE is a source table, schema.table or just table. The running task does it (or the next "
      "run): it\n"
      "copies the table aside, follows it, and merges the difference; nothing is emptied, and the "
      "other\n"
      "tables wait for moments only. `pgsluice status FILE` shows the table as catching_up "
      "meanwhile.\n" },
    { "set-aside", "FILE TABLE", OPT_JSON, cmd_set_aside,
      "leave one table out until it is resynchronized, while all others go on",
      "TABLE is as for resync. Its rows stay as they are in the destination; changes to it are not "
      "kept for\n"
      "later. `pgsluice resync FILE TABLE` brings it back.\n" },
    { "report", "FILE", OPT_JSON, cmd_report,
      "show what became of each schema object: created, skipped, failed, unsupported",
      "Reads the destination's state. Objects that were created are not shown without --json.\n" },
    { "release", "FILE", OPT_FORCE | OPT_JSON | OPT_KEEP, cmd_release,
      "end the task: remove slot, publications and state on both sides",
      "The copied data stays. --force ends a run that is going, and when the source is gone "
      "removes what\n"
      "is on the destination and prints the SQL that is left to run on the source.\n" },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct option_row {
    unsigned bit;
    struct option option;
    const char *help;
} options[] = {
    { OPT_JSON, { "json", no_argument, NULL, 'j' }, "one JSON object per line on standard output" },
    { OPT_UNTIL,
      { "until-caught-up", no_argument, NULL, 'u' },
      "end (exit 0) when all that was committed on the source so far is applied" },
    { OPT_TAKEOVER,
      { "takeover", no_argument, NULL, 't' },
      "end another worker that has this task and go on here" },
    { OPT_FORCE, { "force", no_argument, NULL, 'f' }, "see above" },
    { OPT_LSN, { "lsn", required_argument, NULL, 'l' }, "commit LSN, such as 16/B374D848" },
    { OPT_ALL, { "all", no_argument, NULL, 'a' }, "all of them" },
    { OPT_ONLY,
      { "only", required_argument, NULL, 'o' },
      "this check alone, such as source.wal_level" },
    { OPT_KEEP,
      { "keep-state", no_argument, NULL, 'k' },
      "keep the state in the destination to be looked at; a run cannot go on" },
    { OPT_NAMES,
      { "names", no_argument, NULL, 'n' },
      "only the names before and after; those given twice are marked, not refused" },
    { OPT_VERBOSE, { "verbose", no_argument, NULL, 'v' }, "say more" },
    { OPT_QUIET, { "quiet", no_argument, NULL, 'q' }, "no progress, only warnings and errors" },
    { OPT_CONTROL,
      { "control", no_argument, NULL, 'c' },
      "with FILE -: one line of specification, then changes (docs/events.md)" },
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static void print_usage(FILE *out)
{
    fprintf(out, "pgsluice keeps PostgreSQL databases in step.\n\nUsage: pgsluice COMMAND FILE "
                 "[OPTIONS]\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    cli_service_usage(out);
    fprintf(out, "  %-10s %s\n  %-10s %s\n\n", "help",
            "help COMMAND, or: help spec (every key of the FILE)", "version", "print the version");
    fprintf(out,
            "FILE is the task's specification, YAML or JSON:\n\n"
            "  name: orders\n"
            "  source:      { host: 10.0.0.5, database: shop, user: sync, password_file: src.pw }\n"
            "  destination: { host: db.example.net, database: shop, user: owner, password_env: "
            "DST_PW }\n"
            "  objects:\n"
            "    - schema: public\n\n"
            "Exit codes: 0 done, 1 failed, 2 wrong usage or specification, 3 precheck failed.\n");
}

static void print_command_help(const struct command *c, FILE *out)
{
    fprintf(out, "Usage: pgsluice %s %s", c->name, c->words);
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (c->options & options[i].bit)
            fprintf(out, " [--%s%s]", options[i].option.name,
                    options[i].option.has_arg ? " VALUE" : "");
    fprintf(out, "\n\n%s%s:\n%s\n", "", c->summary, c->help);
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (c->options & options[i].bit)
            fprintf(out, "  --%-16s %s\n", options[i].option.name, options[i].help);
}

void cli_each(void (*take)(void *self, const cli_about *about), void *self)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        SL_BUF(known);
        for (size_t k = 0; k < N_OPTIONS; k++)
            if (commands[i].options & options[k].bit)
                sl_buf_printf(&known, "%s--%s%s", known.len ? " " : "", options[k].option.name,
                              options[k].option.has_arg ? "=" : "");
        take(self, &(cli_about){ .command = commands[i].name,
                                 .words = commands[i].words,
                                 .summary = commands[i].summary,
                                 .help = commands[i].help,
                                 .options = sl_buf_str(&known) });
    }
    cli_service_each(take, self);
    cli_client_each(take, self);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void put_stdout(void *self, const char *text)
{
    (void)self;
    fputs(text, stdout);
}

static int cmd_help(const char *topic)
{
    const struct command *c = topic ? find_command(topic) : NULL;
    if (c)
        print_command_help(c, stdout);
    else if (topic && strcmp(topic, "spec") == 0)
        sl_spec_help(put_stdout, NULL);
    else if (topic && strcmp(topic, "man") == 0)
        cli_manual();
    else if (topic && cli_service_help(topic))
        return EXIT_DONE;
    else if (!topic)
        print_usage(stdout);
    else {
        fprintf(stderr, "pgsluice: there is no help on \"%s\"\nTry: pgsluice help\n", topic);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static int wrong_usage(const struct command *c, const char *problem, const char *what)
{
    fprintf(stderr, "pgsluice %s: %s%s\nTry: pgsluice help %s\n", c->name, problem, what, c->name);
    return EXIT_USAGE;
}

static void set_option(cli_args *args, int opt)
{
    switch (opt) {
    case 'j':
        args->json = true;
        break;
    case 'u':
        args->until_caught_up = true;
        break;
    case 't':
        args->takeover = true;
        break;
    case 'f':
        args->force = true;
        break;
    case 'a':
        args->all = true;
        break;
    case 'v':
        args->verbose = true;
        break;
    case 'q':
        args->quiet = true;
        break;
    case 'c':
        args->control = true;
        break;
    case 'l':
        args->lsn = optarg;
        break;
    case 'o':
        args->only = optarg;
        break;
    case 'k':
        args->keep_state = true;
        break;
    case 'n':
        args->names = true;
        break;
    }
}

static int run_command(const struct command *c, int argc, char **argv)
{
    struct option allowed[N_OPTIONS + 2];
    size_t n = 0;
    cli_args args = { 0 };
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (c->options & options[i].bit)
            allowed[n++] = options[i].option;
    allowed[n++] = (struct option){ "help", no_argument, NULL, 'h' };
    allowed[n] = (struct option){ 0 };
    opterr = 0;
    for (int opt; (opt = getopt_long(argc, argv, ":h", allowed, NULL)) != -1;) {
        if (opt == 'h') {
            print_command_help(c, stdout);
            return EXIT_DONE;
        }
        if (opt == '?' || opt == ':')
            return wrong_usage(c, opt == ':' ? "a value is missing for " : "unknown option ",
                               argv[optind - 1]);
        set_option(&args, opt);
    }
    if (optind >= argc)
        return wrong_usage(c, "the specification's file is missing", "");
    args.file = argv[optind++];
    if (strchr(c->words, ' '))
        args.action = optind < argc ? argv[optind++] : NULL;
    args.rest = argv + optind;
    args.n_rest = argc - optind;
    if (args.n_rest > 0 && !strchr(c->words, ' '))
        return wrong_usage(c, "too many words: ", args.rest[0]);
    if (c->options & OPT_LSN && !args.lsn)
        return wrong_usage(c, "--lsn is missing", "");
    sl_log_setup(
        &(sl_log_options){ .level = args.verbose ? SL_DEBUG : SL_INFO, .json = args.json });
    return c->run(&args);
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN);
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return cmd_help(argc > 2 ? argv[2] : NULL);
    if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
        printf("pgsluice %s (libpq %d.%d)\n", SL_VERSION, PQlibVersion() / 10000,
               PQlibVersion() % 10000);
        return EXIT_DONE;
    }
    const struct command *c = find_command(name);
    int code;
    if (!c && cli_service_command(argc - 1, argv + 1, &code))
        return code;
    if (!c) {
        fprintf(stderr, "pgsluice: unknown command \"%s\"\nTry: pgsluice help\n", name);
        return EXIT_USAGE;
    }
    return run_command(c, argc - 1, argv + 1);
}
