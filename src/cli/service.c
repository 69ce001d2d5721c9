/* service.c: `pgsluice serve`, and the table of commands that go to the service. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "catalog/catalog.h"
#include "cli/cli.h"
#include "core/log.h"
#include "service/inspect.h"
#include "service/serve.h"

static int cmd_serve(int argc, char **argv);
static int cmd_inspect(int argc, char **argv);
static void serve_help(const char *name);
static void backup_help(const char *name);
static int cmd_backup(int argc, char **argv);
static void routes_help(const char *name);

static const struct service_command {
    const char *name, *summary; /* without a summary: not for people */
    int (*run)(int argc, char **argv);
    void (*help)(const char *name);
} commands[] = {
    { "serve", "run the service: many tasks, with an HTTP API", cmd_serve, serve_help },
    { "task", "create, watch and steer the service's tasks", cli_client, cli_client_help },
    { "connection", "saved connections", cli_client, cli_client_help },
    { "alert", "who is told of what, and what was sent", cli_client, cli_client_help },
    { "usage", "what tasks used, prices, classes", cli_client, cli_client_help },
    { "user", "the service's users", cli_client, cli_client_help },
    { "token", "access tokens for programs", cli_client, cli_client_help },
    { "api", "one request to the service, whatever it is", cli_client, cli_client_help },
    { "backup", "copy the service's catalog and key while it runs", cmd_backup, backup_help },
    { "completion", "print what a shell completes: bash, zsh", cli_completion,
      cli_completion_help },
    { "inspect", NULL, cmd_inspect, NULL },
    { "routes", NULL, NULL, routes_help },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

void cli_service_each(void (*take)(void *self, const cli_about *about), void *self)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (commands[i].summary)
            take(self, &(cli_about){ .command = commands[i].name,
                                     .words = strcmp(commands[i].name, "completion") == 0 ? "SHELL"
                                              : commands[i].run == cli_client ? "ACTION [WORDS]"
                                              : commands[i].run == cmd_backup ? "TO"
                                                                              : "",
                                     .summary = commands[i].summary,
                                     .options = commands[i].run == cmd_serve
                                                    ? "--data-dir= --listen= --tls-cert= "
                                                      "--tls-key= --secrets= --alert-commands= "
                                                      "--behind-proxy --json --verbose"
                                                : commands[i].run == cmd_backup ? "--data-dir="
                                                                                : "" });
}

static const struct service_command *find(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

bool cli_service_command(int argc, char **argv, int *code)
{
    const struct service_command *c = find(argv[0]);
    if (!c || !c->run)
        return false;
    *code = c->run(argc, argv);
    return true;
}

void cli_service_usage(FILE *out)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (commands[i].summary)
            fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
}

bool cli_service_help(const char *name)
{
    const struct service_command *c = find(name);
    if (c && c->help)
        c->help(c->name);
    return c && c->help;
}

static void serve_help(const char *name)
{
    printf("Usage: pgsluice %s --data-dir DIR [OPTIONS]\n\n"
           "Runs the service in the foreground until SIGTERM or Ctrl-C. The first start makes the "
           "user admin:\nits password comes from the environment variable PGSLUICE_ADMIN_PASSWORD, "
           "else one is made and\nprinted once.\n\n"
           "  --data-dir DIR     catalog, key and logs; made if it is not there\n"
           "  --listen ADDR:PORT default 127.0.0.1:7432; port 0 takes a free one\n"
           "  --tls-cert FILE    certificate chain (PEM); needed off loopback\n"
           "  --tls-key FILE     its key\n"
           "  --secrets DIR      users may refer to passwords: password_file in DIR, systemd's\n"
           "                     credentials, environment variables PGSLUICE_SECRET_…\n"
           "  --behind-proxy     a proxy in front does TLS\n"
           "  --alert-commands D directory of the programs that alert contacts may run\n"
           "  --json             log as JSON lines\n"
           "  --verbose          say more\n\n"
           "See docs/service.md and docs/openapi.yaml.\n",
           name);
}

static void backup_help(const char *name)
{
    printf("Usage: pgsluice %s --data-dir DIR TO\n\n"
           "Copies the service's catalog and its key into the new directory TO, which can then be "
           "served\nitself. The service may run meanwhile. Where tasks stand is in their "
           "destinations, not here.\n",
           name);
}

static int cmd_backup(int argc, char **argv)
{
    static const struct option known[] = { { "data-dir", required_argument, NULL, 'd' },
                                           { "help", no_argument, NULL, 'h' },
                                           { 0 } };
    const char *dir = NULL;
    cli_args args = { 0 };
    sl_error err = SL_ERROR_INIT;
    opterr = 0;
    for (int opt; (opt = getopt_long(argc, argv, ":h", known, NULL)) != -1;) {
        if (opt == 'h') {
            backup_help("backup");
            return EXIT_DONE;
        }
        if (opt == 'd')
            dir = optarg;
        else
            dir = NULL, optind = argc;
    }
    if (!dir || optind != argc - 1) {
        fprintf(stderr, "pgsluice backup: give --data-dir DIR and one new directory\nTry: pgsluice "
                        "help backup\n");
        return EXIT_USAGE;
    }
    if (sl_catalog_backup(dir, argv[optind], &err) != SL_OK)
        return cli_fail(&args, &err);
    printf("%s holds catalog.sqlite and secret.key. Keep it as secret as the passwords in it.\n",
           argv[optind]);
    return EXIT_DONE;
}

static void routes_help(const char *name)
{
    (void)name;
    sl_http_print_routes();
}

static int cmd_inspect(int argc, char **argv)
{
    (void)argc, (void)argv;
    return sl_inspect();
}

static int cmd_serve(int argc, char **argv)
{
    static const struct option known[] = {
        { "data-dir", required_argument, NULL, 'd' },
        { "listen", required_argument, NULL, 'l' },
        { "tls-cert", required_argument, NULL, 'c' },
        { "tls-key", required_argument, NULL, 'k' },
        { "alert-commands", required_argument, NULL, 'a' },
        { "secrets", required_argument, NULL, 's' },
        { "behind-proxy", no_argument, NULL, 'p' },
        { "json", no_argument, NULL, 'j' },
        { "verbose", no_argument, NULL, 'v' },
        { "help", no_argument, NULL, 'h' },
        { 0 },
    };
    sl_serve_options options = { .listen = "127.0.0.1:7432" };
    sl_log_options log = { .level = SL_INFO };
    cli_args args = { 0 };
    const char **texts[] = {
        ['d'] = &options.data_dir, ['l'] = &options.listen,  ['c'] = &options.tls_cert,
        ['k'] = &options.tls_key,  ['s'] = &options.secrets, ['a'] = &options.alert_commands
    };
    opterr = 0;
    for (int opt; (opt = getopt_long(argc, argv, ":h", known, NULL)) != -1;) {
        if (opt == 'h') {
            serve_help("serve");
            return EXIT_DONE;
        }
        if (opt == '?' || opt == ':') {
            fprintf(stderr, "pgsluice serve: %s%s\nTry: pgsluice help serve\n",
                    opt == ':' ? "a value is missing for " : "unknown option ", argv[optind - 1]);
            return EXIT_USAGE;
        }
        if (opt == 'p')
            options.behind_proxy = true;
        else if (opt == 'j')
            log.json = args.json = true;
        else if (opt == 'v')
            log.level = SL_DEBUG;
        else
            *texts[opt] = optarg;
    }
    if (!options.data_dir || optind < argc) {
        fprintf(stderr, "pgsluice serve: %s\nTry: pgsluice help serve\n",
                options.data_dir ? "too many words" : "--data-dir is missing");
        return EXIT_USAGE;
    }
    sl_error err = SL_ERROR_INIT;
    sl_log_setup(&log);
    sl_stop *stop = cli_catch_signals();
    if (!stop)
        sl_fail_errno(&err, SL_FAILED, "cannot watch for signals");
    if (err.code == SL_OK)
        sl_serve(&options, stop, &err);
    return err.code == SL_OK ? EXIT_DONE : cli_fail(&args, &err);
}
