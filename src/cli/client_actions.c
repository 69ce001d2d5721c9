/* client_actions.c: what `pgsluice task`, `connection`, `alert`, `usage`, `user`, `token` and `api`
 * can do: one table of actions, each of which is one request, and the bodies of these. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "service/service.h"
#include "spec/names.h"

/* ---- bodies ---- */

static sl_rc read_all(FILE *in, sl_buf *text)
{
    char block[8192];
    for (size_t n; (n = fread(block, 1, sizeof(block), in)) > 0 && text->len < (4 << 20);)
        sl_buf_add(text, block, n);
    return ferror(in) ? SL_FAILED : SL_OK;
}

static sl_rc read_file(const char *file, sl_buf *text, sl_error *err)
{
    FILE *in = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
    if (!in || read_all(in, text) != SL_OK)
        sl_fail_errno(err, SL_USAGE, "%s cannot be read", file);
    if (in && in != stdin)
        fclose(in);
    return err->code;
}

/* A specification's text goes as it is; the service reads YAML. The file is the last word. */
static json_t *spec_body(client *c, sl_error *err)
{
    SL_BUF(text);
    if (read_file(c->words[c->n_words - 1], &text, err) != SL_OK)
        return NULL;
    return json_stringn(sl_buf_str(&text), text.len);
}

char *client_ask_password(client *c, const char *what, sl_error *err)
{
    const char *given = getenv("PGSLUICE_PASSWORD");
    char line[256] = "";
    if (given && given[0])
        return sl_arena_strdup(&c->arena, given);
    if (isatty(STDIN_FILENO)) {
        const char *typed = getpass(sl_arena_printf(&c->arena, "Password of %s: ", what));
        snprintf(line, sizeof(line), "%s", typed ? typed : "");
    } else if (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
    }
    if (!line[0]) {
        sl_fail(err, SL_USAGE, "no password was given");
        sl_hint(err, "Type it, pipe it in, or set PGSLUICE_PASSWORD.");
    }
    return sl_arena_strdup(&c->arena, line);
}

static json_t *user_body(client *c, sl_error *err)
{
    char *password = client_ask_password(c, c->words[0], err);
    return json_pack("{s:s, s:s, s:s}", "name", c->words[0], "role", c->role ? c->role : "viewer",
                     "password", password);
}

static json_t *token_body(client *c, sl_error *err)
{
    (void)err;
    json_t *body = json_pack("{s:s, s:s*}", "name", c->words[0], "role", c->role);
    if (c->days)
        json_object_set_new(body, "days", json_integer(atoi(c->days)));
    return body;
}

static json_t *release_body(client *c, sl_error *err)
{
    (void)err;
    return json_pack("{s:b}", "force", (int)c->force);
}

/* A file of JSON or YAML, or - for standard input: the last word. */
static json_t *file_body(client *c, sl_error *err)
{
    SL_BUF(text);
    json_t *body = NULL;
    sl_rc rc = read_file(c->words[c->n_words - 1], &text, err);
    if (rc == SL_OK)
        body = json_loadb(sl_buf_str(&text), text.len, 0, NULL);
    if (rc == SL_OK && !body)
        sl_specs_from_yaml(sl_buf_str(&text), text.len, &body, err);
    return body;
}

/* An exported specification: the service gives the id, passwords come from the environment. */
static json_t *import_body(client *c, sl_error *err)
{
    static const char *const sides[][2] = { { "source", "PGSLUICE_SOURCE_PASSWORD" },
                                            { "destination", "PGSLUICE_DESTINATION_PASSWORD" } };
    json_t *spec = file_body(c, err);
    for (int i = 0; spec && i < 2; i++) {
        const char *password = getenv(sides[i][1]);
        json_t *endpoint = json_object_get(spec, sides[i][0]);
        if (password && password[0] && json_is_object(endpoint))
            json_object_set_new(endpoint, "password", json_string(password));
    }
    json_object_del(spec, "id");
    return spec ? json_pack("{s:o}", "spec", spec) : NULL;
}

static json_t *connection_body(client *c, sl_error *err)
{
    json_t *endpoint = file_body(c, err);
    return endpoint
               ? json_pack("{s:s, s:o}", "name", c->words[c->n_words - 2], "endpoint", endpoint)
               : NULL;
}

static json_t *test_body(client *c, sl_error *err)
{
    (void)err;
    return json_pack("{s:s, s:s}", "connection", c->words[0], "side", c->words[1]);
}

static json_t *lsn_body(client *c, sl_error *err)
{
    (void)err;
    return json_pack("{s:s}", "lsn", c->words[1]);
}

static json_t *class_body(client *c, sl_error *err)
{
    (void)err;
    return json_pack("{s:s}", "class", c->words[1]);
}

static json_t *errors_body(client *c, sl_error *err)
{
    if (c->all)
        return json_pack("{s:b}", "all", 1);
    json_t *ids = json_array();
    for (int i = 1; i < c->n_words; i++)
        json_array_append_new(ids, json_integer(atoll(c->words[i])));
    if (json_array_size(ids) == 0)
        sl_fail(err, SL_USAGE, "name the ids of the errors, or use --all");
    return json_pack("{s:o}", "ids", ids);
}

static json_t *name_body(client *c, sl_error *err)
{
    (void)err;
    return json_pack("{s:s}", "name", c->words[1]);
}

static json_t *password_body(client *c, sl_error *err)
{
    const char *side = c->words[1];
    if (strcmp(side, "source") != 0 && strcmp(side, "destination") != 0) {
        sl_fail(err, SL_USAGE, "the side is source or destination");
        return NULL;
    }
    char *password =
        client_ask_password(c, sl_arena_printf(&c->arena, "the %s's account", side), err);
    return json_pack("{s:s}", sl_arena_printf(&c->arena, "%s_password", side), password);
}

/* The words behind the first as a list. */
static json_t *words_list(const client *c)
{
    json_t *list = json_array();
    for (int i = 1; i < c->n_words; i++)
        json_array_append_new(list, json_string(c->words[i]));
    return list;
}

static json_t *ignore_body(client *c, sl_error *err)
{
    (void)err;
    return json_pack("{s:o}", "ignore", words_list(c));
}

static json_t *remove_body(client *c, sl_error *err)
{
    (void)err;
    return json_pack("{s:o}", "remove", words_list(c));
}

/* schema.table, or a schema as a whole. */
static json_t *add_body(client *c, sl_error *err)
{
    (void)err;
    json_t *list = json_array();
    for (int i = 1; i < c->n_words; i++) {
        const char *parts[2];
        size_t n = sl_names_split(c->words[i], parts, 2, &c->arena);
        json_array_append_new(list, n == 2 ? json_pack("{s:s, s:[{s:s}]}", "schema", parts[0],
                                                       "tables", "table", parts[1])
                                           : json_pack("{s:s}", "schema", c->words[i]));
    }
    return json_pack("{s:o}", "add", list);
}

/* Of `api`: the file behind the path, if there is one. */
static json_t *any_body(client *c, sl_error *err)
{
    return c->n_words > 1 ? file_body(c, err) : NULL;
}

static json_t *user_change_body(client *c, sl_error *err)
{
    if (c->role)
        return json_pack("{s:s}", "role", c->role);
    return json_pack("{s:s}", "password", client_ask_password(c, c->words[0], err));
}

/* ---- actions ---- */

#define T "/api/v1/tasks"
#define A "/api/v1/alerts"
#define C "/api/v1/connections"
static const client_action actions[] = {
    { "task", "list", "", "GET", T, "all tasks", NULL, client_show_tasks },
    { "task", "show", "ID", "GET", T "/%s", "one task", NULL, client_show_task },
    { "task", "create", "FILE", "POST", T, "from a specification with passwords in it; - is stdin",
      spec_body, NULL },
    { "task", "check", "ID", "POST", T "/%s/check", "run the precheck", NULL, NULL },
    { "task", "findings", "ID", "GET", T "/%s/findings", "what the precheck found", NULL,
      client_show_findings },
    { "task", "start", "ID", "POST", T "/%s/start", "start it", NULL, NULL },
    { "task", "pause", "ID", "POST", T "/%s/pause", "pause; the slot keeps the source's WAL", NULL,
      NULL },
    { "task", "resume", "ID", "POST", T "/%s/resume", "go on", NULL, NULL },
    { "task", "release", "ID", "POST", T "/%s/release",
      "remove slot, publications and state; --force when the source is gone", release_body, NULL },
    { "task", "delete", "ID", "DELETE", T "/%s", "delete a task that is released or never started",
      NULL, NULL },
    { "task", "tables", "ID", "GET", T "/%s/tables?limit=1000", "progress per table", NULL,
      client_show_tables },
    { "task", "events", "ID", "GET", T "/%s/events", "its history, newest first", NULL,
      client_show_events },
    { "task", "errors", "ID", "GET", T "/%s/errors", "changes that could not be applied", NULL,
      client_show_errors },
    { "task", "retry", "ID ERROR…", "POST", T "/%s/errors/retry", "apply them; or --all",
      errors_body, NULL },
    { "task", "skip", "ID ERROR…", "POST", T "/%s/errors/skip", "leave them out; or --all",
      errors_body, NULL },
    { "task", "skip-transaction", "ID LSN", "POST", T "/%s/transactions/skip",
      "leave out the whole source transaction that commits at LSN", lsn_body, NULL },
    { "task", "stop", "ID", "POST", T "/%s/stop",
      "end it for good: slot and publications go, the state stays to be looked at", NULL, NULL },
    { "task", "recheck", "ID CHECK", "POST", T "/%s/findings/%s/rerun", "run one check again", NULL,
      NULL },
    { "task", "resync", "ID TABLE", "POST", T "/%s/tables/%s/resync",
      "bring one table in step anew while the others go on", NULL, NULL },
    { "task", "set-aside", "ID TABLE", "POST", T "/%s/tables/%s/set-aside",
      "leave one table out until it is resynchronized", NULL, NULL },
    { "task", "names", "FILE", "POST", "/api/v1/preview/mapping",
      "names before and after of a specification that is not stored", spec_body, client_show_json },
    { "task", "clone", "ID NAME", "POST", T "/%s/clone", "a new one like it", name_body,
      client_show_task },
    { "task", "edit", "ID FILE", "PUT", T "/%s/spec",
      "a new specification; what is not running can be edited", spec_body, client_show_json },
    { "task", "history", "ID", "GET", T "/%s/spec/history", "versions of its specification", NULL,
      client_show_json },
    { "task", "password", "ID SIDE", "PUT", T "/%s/credentials",
      "a new password for source or destination; asked for", password_body, NULL },
    { "task", "ignore", "ID CHECK…", "PUT", T "/%s/findings/ignored",
      "leave these findings (check, or check@object) out of account, and no others", ignore_body,
      client_show_findings },
    { "task", "add", "ID TABLE…", "PATCH", T "/%s/objects", "add tables, or schemas, while it runs",
      add_body, NULL },
    { "task", "remove", "ID TABLE…", "PATCH", T "/%s/objects",
      "take tables, or schemas, out while it runs; their rows stay", remove_body, NULL },
    { "task", "alerts", "ID FILE", "PUT", T "/%s/alerts", "its own alerts: docs/alerts.md",
      file_body, client_show_json },
    { "task", "plan", "ID", "GET", T "/%s/plan", "where each table goes, and the DDL", NULL,
      client_show_json },
    { "task", "report", "ID", "GET", T "/%s/schema-report?limit=1000",
      "what became of each schema object", NULL, client_show_report },
    { "task", "rates", "ID", "GET", T "/%s/rates", "rate and lag of each hop", NULL,
      client_show_rates },
    { "task", "log", "ID", "GET", T "/%s/log", "the end of its log", NULL, NULL, true },
    { "task", "bundle", "ID", "GET", T "/%s/support-bundle",
      "a tar.gz for support, without secrets, on standard output", NULL, NULL, true },
    { "task", "class", "ID CLASS", "PUT", T "/%s/class", "how much it may take, also while it runs",
      class_body, NULL },
    { "task", "export", "ID", "GET", T "/%s/spec", "the specification as YAML, without passwords",
      NULL, NULL, true },
    { "task", "import", "FILE", "POST", T,
      "from what export gave; passwords: PGSLUICE_SOURCE_PASSWORD, PGSLUICE_DESTINATION_PASSWORD",
      import_body, NULL },
    { "task", "watch", "", "GET", T "?limit=1000", "all tasks, live; ends with Ctrl-C", NULL,
      client_show_tasks },
    { "connection", "list", "", "GET", C, "saved connections", NULL, client_show_connections },
    { "connection", "show", "ID", "GET", C "/%s", "one of them", NULL, client_show_connection },
    { "connection", "create", "NAME FILE", "POST", C,
      "save one; FILE is what stands under source: in a specification; prints its id",
      connection_body, client_show_made },
    { "connection", "change", "ID NAME FILE", "PUT", C "/%s", "replace it", connection_body,
      client_show_made },
    { "connection", "delete", "ID", "DELETE", C "/%s", "delete it; tasks keep what they have", NULL,
      NULL },
    { "connection", "test", "ID SIDE", "POST", C "/test",
      "can it be reached as source, destination?", test_body, client_show_test },
    { "alert", "list", "", "GET", A, "what is on now", NULL, client_show_alerts },
    { "alert", "rules", "", "GET", A "/rules", "when somebody is told", NULL, client_show_rules },
    { "alert", "rule", "FILE", "POST", A "/rules", "make a rule; prints its id", file_body,
      client_show_made },
    { "alert", "change-rule", "ID FILE", "PUT", A "/rules/%s", "change or mute it", file_body,
      client_show_made },
    { "alert", "delete-rule", "ID", "DELETE", A "/rules/%s", "delete a rule", NULL, NULL },
    { "alert", "contacts", "", "GET", A "/contacts", "whom to tell", NULL, client_show_contacts },
    { "alert", "contact", "FILE", "POST", A "/contacts", "make a contact; prints its id", file_body,
      client_show_made },
    { "alert", "change-contact", "ID FILE", "PUT", A "/contacts/%s", "change it", file_body,
      client_show_made },
    { "alert", "delete-contact", "ID", "DELETE", A "/contacts/%s", "delete a contact", NULL, NULL },
    { "alert", "test", "ID", "POST", A "/contacts/%s/test", "send a contact a test message now",
      NULL, client_show_delivery },
    { "alert", "deliveries", "", "GET", A "/deliveries", "what was sent, newest first", NULL,
      client_show_deliveries },
    { "alert", "retry", "ID", "POST", A "/deliveries/%s/retry", "send a message again now", NULL,
      client_show_delivery },
    { "usage", "report", "", "GET", "/api/v1/usage",
      "by task and month; --from DAY, --to DAY, --csv", NULL, client_show_usage },
    { "usage", "classes", "", "GET", "/api/v1/classes", "what a class may take", NULL,
      client_show_classes },
    { "usage", "prices", "", "GET", "/api/v1/prices", "the price list", NULL, client_show_json },
    { "usage", "set-prices", "FILE", "PUT", "/api/v1/prices", "a new price list", file_body,
      client_show_json },
    { "usage", "terms", "", "GET", "/api/v1/terms", "the service terms", NULL, client_show_json },
    { "usage", "set-terms", "FILE", "PUT", "/api/v1/terms", "new ones: version and text", file_body,
      client_show_json },
    { "usage", "billing", "ID", "GET", T "/%s/billing", "how a task is paid for", NULL,
      client_show_billing },
    { "usage", "set-billing", "ID FILE", "PUT", T "/%s/billing",
      "kind, months, accepted_terms: docs/usage.md", file_body, client_show_billing },
    { "user", "list", "", "GET", "/api/v1/users", "all users", NULL, client_show_users },
    { "user", "create", "NAME", "POST", "/api/v1/users",
      "with --role; the password is asked for, or from PGSLUICE_PASSWORD", user_body, NULL },
    { "user", "change", "NAME", "PATCH", "/api/v1/users/%s",
      "with --role: another role; else another password", user_change_body, client_show_json },
    { "user", "delete", "NAME", "DELETE", "/api/v1/users/%s", "delete a user", NULL, NULL },
    { "token", "list", "", "GET", "/api/v1/tokens", "own tokens; an admin sees all", NULL,
      client_show_tokens },
    { "token", "create", "NAME", "POST", "/api/v1/tokens",
      "prints the token; --user logs in with that user's password first", token_body,
      client_show_token },
    { "token", "delete", "ID", "DELETE", "/api/v1/tokens/%s", "withdraw it", NULL, NULL },
    { "api", "get", "PATH", "GET", NULL, "such as /api/v1/summary, /api/v1/audit", NULL,
      client_show_json },
    { "api", "post", "PATH FILE…", "POST", NULL, "FILE is JSON or YAML, - is stdin", any_body,
      client_show_json },
    { "api", "put", "PATH FILE…", "PUT", NULL, "what has an ETag gets the present one", any_body,
      client_show_json },
    { "api", "patch", "PATH FILE…", "PATCH", NULL, "such as /api/v1/settings", any_body,
      client_show_json },
    { "api", "delete", "PATH", "DELETE", NULL, "delete it", NULL, client_show_json },
};
#define N_ACTIONS (sizeof(actions) / sizeof(actions[0]))

void cli_client_each(void (*take)(void *self, const cli_about *about), void *self)
{
    for (size_t i = 0; i < N_ACTIONS; i++)
        take(self, &(cli_about){ .command = actions[i].command,
                                 .action = actions[i].name,
                                 .words = actions[i].words,
                                 .summary = actions[i].help,
                                 .options = "--url= --token-file= --json --user= --role= --days= "
                                            "--from= --to= --csv --count= "
                                            "--all --force" });
}

void cli_client_help(const char *name)
{
    printf("Usage: pgsluice %s ACTION [WORDS] [OPTIONS]\n\n", name);
    for (size_t i = 0; i < N_ACTIONS; i++)
        if (strcmp(actions[i].command, name) == 0)
            printf("  %-16s %-12s %s\n", actions[i].name, actions[i].words, actions[i].help);
    printf("\n  --url URL        the service, default $PGSLUICE_URL or http://127.0.0.1:7432\n"
           "  --token-file F   file with the token, default: $PGSLUICE_TOKEN holds it\n"
           "  --json           the answer as it is\n"
           "  --user NAME      log in with a password instead of a token\n"
           "  --role ROLE      viewer, operator, admin (user create, token create)\n"
           "  --days N         how long a token is valid\n"
           "  --from, --to DAY first and last day, such as 2026-11-22 (usage report)\n"
           "  --csv            as CSV (usage report)\n"
           "  --count N        so many tasks of that kind (task create)\n"
           "  --all, --force   see above\n");
}

const client_action *client_find(const char *command, const char *name)
{
    for (size_t i = 0; name && i < N_ACTIONS; i++)
        if (strcmp(actions[i].command, command) == 0 && strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}
