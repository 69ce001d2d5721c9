/* cli.h: what the subcommands share. A command is a row in main.c's table; each has its own file or
 * shares one with its kin. */
#ifndef SL_CLI_CLI_H
#define SL_CLI_CLI_H

#include <stdio.h>

#include "task/task.h"

/* What the command line said; only what the command's row allows can be set. */
typedef struct cli_args {
    const char *file;   /* FILE */
    const char *action; /* errors: list, retry, skip; resync: the table */
    char **rest;        /* words behind them */
    int n_rest;
    bool control; /* run: standard input goes on behind the specification */
    bool json, until_caught_up, takeover, force, all, verbose, quiet;
    const char *lsn, *only;
    bool keep_state, names;
} cli_args;

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_PRECHECK = 3 };

int cmd_run(const cli_args *args);
int cmd_check(const cli_args *args);
int cmd_plan(const cli_args *args);
/* What `plan --names` prints: each name before and after, those given twice marked (names.c). */
void cli_print_names(const sl_routes *routes, bool json);
int cmd_status(const cli_args *args);
int cmd_errors(const cli_args *args);
int cmd_skip(const cli_args *args);
int cmd_resync(const cli_args *args);
int cmd_set_aside(const cli_args *args);
int cmd_report(const cli_args *args);
int cmd_release(const cli_args *args);

/* Commands of the service and of its client (service.c, client.c): argv[0] is the command. False
 * when there is no such command; else *code is the exit code. */
bool cli_service_command(int argc, char **argv, int *code);
/* Their lines of the usage, or the help of one (false: no such command). */
void cli_service_usage(FILE *out);
bool cli_service_help(const char *name);
int cli_client(int argc, char **argv);
void cli_client_help(const char *name);

/* What completions and the manual are made of: one per command, or per action of one. */
typedef struct cli_about {
    const char *command, *action; /* action NULL: the command itself */
    const char *words, *summary, *help;
    const char *options; /* "--json --lsn=": with =, takes a value */
} cli_about;
void cli_client_each(void (*take)(void *self, const cli_about *about), void *self);
void cli_service_each(void (*take)(void *self, const cli_about *about), void *self);
void cli_each(void (*take)(void *self, const cli_about *about), void *self); /* all (main.c) */
/* `pgsluice completion bash|zsh` and `pgsluice help man` (teach.c). */
int cli_completion(int argc, char **argv);
void cli_completion_help(const char *name);
void cli_manual(void);

/* control.c */
sl_rc cli_control_spec(sl_spec **spec, sl_error *err);
void cli_control_listen(sl_limits *limits);

/* SIGINT, SIGTERM and SIGHUP request this stop; NULL when that is not possible. */
sl_stop *cli_catch_signals(void);

/* Prints the error on stderr (one JSON line with --json) and gives the exit code for it. */
int cli_fail(const cli_args *args, const sl_error *err);

/* A run for commands that look at a task without running it: spec read, sessions open. */
typedef struct cli_task {
    sl_spec *spec;
    sl_run run;
    sl_stop stop;
    sl_pg *source, *destination; /* source NULL when it cannot be reached and need not be */
    sl_error source_error;       /* why */
} cli_task;
/* Opens what is there: the destination must be, the source only with need_source. Sets run.id also
 * without the source, from the destination's state. SL_NOT_FOUND when the destination knows no such
 * task and must_exist. */
sl_rc cli_open(const cli_args *args, bool need_source, bool must_exist, cli_task *task,
               sl_error *err);
void cli_close(cli_task *task);

/* Numbers for people. Each returns buf. */
char *cli_count(int64_t n, char *buf);         /* 1,234,567; buf of 32 */
char *cli_bytes(int64_t n, char *buf);         /* 12.3 MB (powers of 1024); buf of 32 */
char *cli_duration(double seconds, char *buf); /* 0.3 s, 12 s, 3:05, 1:02:03; buf of 32 */

/* Prints a finding or a set of them for people. */
void cli_print_findings(const sl_findings *findings, bool failed_only);

#endif
