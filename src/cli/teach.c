/* teach.c: completions of bash and zsh, and the manual page, from the same tables as --help. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "core/buf.h"

/* ---- completions ---- */

typedef struct words {
    sl_buf commands, cases; /* names; bash's case branches of options */
    sl_buf actions;         /* case branches of actions */
    const char *command;    /* whose actions are being gathered */
} words;

static void add_options(sl_buf *out, const char *options)
{
    for (const char *p = options; *p; p++)
        if (*p != '=') /* bash adds a blank: the value is the next word */
            sl_buf_putc(out, *p);
}

static void gather(void *self, const cli_about *about)
{
    words *w = self;
    if (!about->action) {
        sl_buf_printf(&w->commands, "%s%s", w->commands.len ? " " : "", about->command);
        sl_buf_printf(&w->cases, "        %s) options=\"", about->command);
        add_options(&w->cases, about->options);
        sl_buf_puts(&w->cases, " --help\" ;;\n");
        return;
    }
    bool same = w->command && strcmp(w->command, about->command) == 0;
    if (!same)
        sl_buf_printf(&w->actions, "%s        %s) actions=\"%s", w->command ? "\" ;;\n" : "",
                      about->command, about->action);
    else
        sl_buf_printf(&w->actions, " %s", about->action);
    w->command = about->command;
}

static const char client_options[] =
    "--url --token-file --json --user --role --days --from --to --csv --count --all --force";

static void print_completion(bool zsh)
{
    words w = { 0 };
    cli_each(gather, &w);
    if (w.command)
        sl_buf_puts(&w.actions, "\" ;;\n");
    if (zsh)
        printf("#compdef pgsluice\nautoload -U +X bashcompinit && bashcompinit\n");
    printf(
        "_pgsluice() {\n"
        "    local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} options= actions=\n"
        "    COMPREPLY=()\n"
        "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
        "        COMPREPLY=($(compgen -W \"%s help version\" -- \"$current\"))\n"
        "        return\n"
        "    fi\n"
        "    case $command in\n%s    esac\n"
        "    case $command in\n%s"
        "        help) actions=\"%s spec man\" ;;\n"
        "        completion) actions=\"bash zsh\" ;;\n"
        "        errors) [ \"$COMP_CWORD\" -eq 3 ] && actions=\"list retry skip\" ;;\n"
        "    esac\n"
        "    [ -n \"$actions\" ] && [ -z \"${options# --help}\" ] && options=\"%s\"\n"
        "    if [[ $current == -* ]]; then\n"
        "        COMPREPLY=($(compgen -W \"$options\" -- \"$current\"))\n"
        "    elif [ -n \"$actions\" ] && { [ \"$COMP_CWORD\" -eq 2 ] || [ \"$command\" = errors ]; "
        "}; then\n"
        "        COMPREPLY=($(compgen -W \"$actions\" -- \"$current\"))\n"
        "    else\n"
        "        COMPREPLY=($(compgen -f -- \"$current\"))\n"
        "    fi\n"
        "}\n"
        "complete -o filenames -F _pgsluice pgsluice\n",
        sl_buf_str(&w.commands), sl_buf_str(&w.cases), sl_buf_str(&w.actions),
        sl_buf_str(&w.commands), client_options);
    sl_buf_free(&w.commands);
    sl_buf_free(&w.cases);
    sl_buf_free(&w.actions);
}

void cli_completion_help(const char *name)
{
    printf("Usage: pgsluice %s bash|zsh\n\n"
           "Prints a script for the shell:\n\n"
           "  pgsluice completion bash > /etc/bash_completion.d/pgsluice\n"
           "  pgsluice completion zsh > /usr/local/share/zsh/site-functions/_pgsluice\n",
           name);
}

int cli_completion(int argc, char **argv)
{
    bool bash = argc == 2 && strcmp(argv[1], "bash") == 0;
    bool zsh = argc == 2 && strcmp(argv[1], "zsh") == 0;
    if (!bash && !zsh) {
        fprintf(stderr, "pgsluice completion: name the shell, bash or zsh\n"
                        "Try: pgsluice help completion\n");
        return EXIT_USAGE;
    }
    print_completion(zsh);
    return EXIT_DONE;
}

/* ---- the manual ---- */

/* Text as roff takes it: a line's first . or ', \ and - mean something there. */
static void put_roff(const char *text)
{
    bool line_start = true;
    for (const char *p = text; *p; p++) {
        if (line_start && (*p == '.' || *p == '\''))
            fputs("\\&", stdout);
        if (*p == '\\')
            fputs("\\e", stdout);
        else if (*p == '-')
            fputs("\\-", stdout);
        else
            putchar(*p);
        line_start = *p == '\n';
    }
}

static void put_command(void *self, const cli_about *about)
{
    bool *actions = self;
    if ((about->action != NULL) != *actions)
        return;
    printf(".TP\n\\fBpgsluice %s%s%s\\fR \\fI", about->command, about->action ? " " : "",
           about->action ? about->action : "");
    put_roff(about->words);
    printf("\\fR\n");
    put_roff(about->summary);
    putchar('\n');
    if (about->help && about->help[0]) {
        printf(".br\n");
        put_roff(about->help);
    }
    if (!about->action && about->options[0]) {
        printf(".br\nOptions: ");
        put_roff(about->options);
        putchar('\n');
    }
}

static void put_key(void *self, const char *text)
{
    (void)self;
    put_roff(text);
}

void cli_manual(void)
{
    bool actions = false;
    printf(
        ".TH PGSLUICE 1 \"\" \"pgsluice %s\" \"User Commands\"\n"
        ".SH NAME\npgsluice \\- keeps PostgreSQL databases in step\n"
        ".SH SYNOPSIS\n\\fBpgsluice\\fR \\fICOMMAND FILE\\fR [\\fIOPTIONS\\fR]\n"
        ".SH DESCRIPTION\nSynchronizes schema, rows, and then every change from one PostgreSQL "
        "database to another: one task described by a file, or many under a service with an HTTP "
        "API.\n.SH COMMANDS\n",
        SL_VERSION);
    cli_each(put_command, &actions);
    printf(".SH ACTIONS OF THE SERVICE'S CLIENT\nWith \\-\\-url and \\-\\-token\\-file, or "
           "PGSLUICE_URL and PGSLUICE_TOKEN; \\-\\-json shows the answer as it is.\n");
    actions = true;
    cli_each(put_command, &actions);
    printf(".SH SPECIFICATION\nYAML or JSON:\n.PP\n.nf\n");
    sl_spec_help(put_key, NULL);
    printf(".fi\n.SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage or specification, 3 precheck "
           "failed.\n.SH ENVIRONMENT\n.TP\nPGSLUICE_URL, PGSLUICE_TOKEN\nof the service, for its "
           "client\n.TP\nPGSLUICE_ADMIN_PASSWORD\nof the user admin, at the service's first start\n"
           ".SH SEE ALSO\n\\fBpg_dump\\fR(1), \\fBpsql\\fR(1); docs/ of the source.\n");
}
