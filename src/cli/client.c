/* client.c: `pgsluice task`, `alert`, `usage`, `user` and `token`: the service's client. One table
 * of actions; each is one request, its answer shown as JSON (--json) or as a table. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "core/log.h"
#include "service/service.h"

typedef struct action {
    const char *command, *name, *words, *method, *path; /* %s in path: the first word */
    const char *help;
    json_t *(*body)(client *c, sl_error *err);         /* or NULL */
    void (*show)(const client *c, const json_t *json); /* or NULL: a message */
    bool raw;                                          /* the answer is no JSON: shown as it is */
} action;

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

/* A specification's text goes as it is; the service reads YAML. */
static json_t *spec_body(client *c, sl_error *err)
{
    SL_BUF(text);
    if (read_file(c->words[0], &text, err) != SL_OK)
        return NULL;
    return json_stringn(sl_buf_str(&text), text.len);
}

static char *ask_password(client *c, const char *what, sl_error *err)
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
    char *password = ask_password(c, c->words[0], err);
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

/* ---- actions ---- */

#define T "/api/v1/tasks"
#define A "/api/v1/alerts"
#define C "/api/v1/connections"
static const action actions[] = {
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
    { "user", "delete", "NAME", "DELETE", "/api/v1/users/%s", "delete a user", NULL, NULL },
    { "token", "list", "", "GET", "/api/v1/tokens", "own tokens; an admin sees all", NULL,
      client_show_tokens },
    { "token", "create", "NAME", "POST", "/api/v1/tokens",
      "prints the token; --user logs in with that user's password first", token_body,
      client_show_token },
    { "token", "delete", "ID", "DELETE", "/api/v1/tokens/%s", "withdraw it", NULL, NULL },
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

/* ---- requests ---- */

static size_t take(char *data, size_t size, size_t n, void *self)
{
    sl_buf *text = self;
    if (text->len + size * n > ((size_t)64 << 20))
        return 0;
    sl_buf_add(text, data, size * n);
    return size * n;
}

static void add_header(client *c, const char *name, const char *value)
{
    c->headers = curl_slist_append(c->headers, sl_arena_printf(&c->arena, "%s: %s", name, value));
}

/* One request; text gets the answer. What the service refuses becomes an error. */
static sl_rc request(client *c, const char *method, const char *path, const char *type,
                     const char *body, sl_buf *text, sl_error *err)
{
    char why[CURL_ERROR_SIZE] = "";
    long status = 0;
    struct curl_slist *headers = NULL;
    for (struct curl_slist *h = c->headers; h; h = h->next)
        headers = curl_slist_append(headers, h->data);
    if (body)
        headers = curl_slist_append(headers, sl_arena_printf(&c->arena, "Content-Type: %s", type));
    curl_easy_setopt(c->curl, CURLOPT_URL, sl_arena_printf(&c->arena, "%s%s", c->url, path));
    curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, text);
    curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body);
    CURLcode code = curl_easy_perform(c->curl);
    curl_slist_free_all(headers);
    if (code != CURLE_OK) {
        sl_fail(err, SL_FAILED, "%s: %s", c->url, why[0] ? why : curl_easy_strerror(code));
        return sl_hint(err, "Is `pgsluice serve` running there? Another address: --url or "
                            "PGSLUICE_URL.");
    }
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status < 400)
        return SL_OK;
    json_t *problem = json_loadb(sl_buf_str(text), text->len, 0, NULL);
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *hint = json_string_value(json_object_get(problem, "hint"));
    sl_fail(err, status == 422 ? SL_USAGE : SL_FAILED, "%s",
            detail ? detail : "no answer that can be read");
    if (hint)
        sl_hint(err, "%s", hint);
    json_decref(problem);
    return err->code;
}

static sl_rc log_in(client *c, sl_error *err)
{
    SL_BUF(text);
    char *password = ask_password(c, c->user, err);
    if (err->code != SL_OK)
        return err->code;
    json_t *body = json_pack("{s:s, s:s}", "user", c->user, "password", password);
    char *dumped = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    sl_rc rc = request(c, "POST", "/api/v1/session", "application/json", dumped, &text, err);
    free(dumped);
    json_t *session = json_loadb(sl_buf_str(&text), text.len, 0, NULL);
    const char *csrf = json_string_value(json_object_get(session, "csrf_token"));
    if (csrf)
        add_header(c, "X-CSRF-Token", csrf);
    json_decref(session);
    return rc;
}

static sl_rc use_token(client *c, const char *file, sl_error *err)
{
    char line[200] = "";
    const char *token = getenv("PGSLUICE_TOKEN");
    FILE *in = file ? fopen(file, "re") : NULL;
    if (file && !in)
        return sl_fail_errno(err, SL_USAGE, "%s cannot be read", file);
    if (in && fgets(line, sizeof(line), in)) {
        line[strcspn(line, "\r\n")] = '\0';
        token = line;
    }
    if (in)
        fclose(in);
    if (!token || !token[0]) {
        sl_fail(err, SL_USAGE, "no token");
        return sl_hint(err, "Make one: pgsluice token create NAME --user admin; then set "
                            "PGSLUICE_TOKEN or use --token-file.");
    }
    add_header(c, "Authorization", sl_arena_printf(&c->arena, "Bearer %s", token));
    return SL_OK;
}

/* The action's path, with the first words in the places of %s. */
static char *path_of(client *c, const action *a)
{
    SL_BUF(path);
    int word = 0;
    for (const char *p = a->path; *p; p++) {
        if (p[0] != '%' || p[1] != 's') {
            sl_buf_putc(&path, *p);
            continue;
        }
        char *escaped = curl_easy_escape(c->curl, c->words[word++], 0);
        sl_buf_puts(&path, escaped ? escaped : "");
        curl_free(escaped);
        p++;
    }
    return sl_arena_strdup(&c->arena, sl_buf_str(&path));
}

static void show_answer(const client *c, const action *a, const sl_buf *text)
{
    bool raw = a->raw || (c->csv && strcmp(a->command, "usage") == 0);
    if (raw || c->json) {
        fwrite(sl_buf_str((sl_buf *)text), 1, text->len, stdout);
        fputs(raw ? "" : "\n", stdout);
        return;
    }
    json_t *json = json_loadb(sl_buf_str((sl_buf *)text), text->len, 0, NULL);
    (a->show ? a->show : client_show_message)(c, json);
    json_decref(json);
}

/* Asks every second until a signal. On a terminal the screen shows the latest; else only what
 * differs from the answer before is printed. */
static sl_rc watch(client *c, const action *a, const char *path, sl_error *err)
{
    bool screen = isatty(STDOUT_FILENO) && !c->json;
    uint64_t shown = 0;
    sl_stop *stop = cli_catch_signals();
    do {
        SL_BUF(text);
        if (request(c, a->method, path, NULL, NULL, &text, err) != SL_OK)
            return err->code;
        uint64_t now = sl_hash64(text.data, text.len, 0);
        if (screen)
            fputs("\033[H\033[2J", stdout);
        if (screen || now != shown)
            show_answer(c, a, &text);
        shown = now;
        fflush(stdout);
    } while (sl_sleep_ms(1000, stop));
    return SL_OK;
}

/* `task create --count N`: the others are clones of the first, with numbers behind its name. */
static sl_rc clone_others(client *c, const char *answer, sl_error *err)
{
    json_t *first = json_loads(answer, 0, NULL);
    const char *id = client_text(c, first, "id"), *name = client_text(c, first, "name");
    const char *path = sl_arena_printf(&c->arena, "/api/v1/tasks/%s/clone", id);
    for (int i = 2; i <= atoi(c->count) && err->code == SL_OK; i++) {
        SL_BUF(text);
        json_t *body = json_pack("{s:o}", "name", json_sprintf("%s-%d", name, i));
        char *dumped = json_dumps(body, JSON_COMPACT);
        json_decref(body);
        if (request(c, "POST", path, "application/json", dumped, &text, err) == SL_OK && c->json) {
            printf("%s\n", sl_buf_str(&text));
        } else if (err->code == SL_OK) {
            json_t *made = json_loadb(text.data, text.len, 0, NULL);
            client_show_message(c, made);
            json_decref(made);
        }
        free(dumped);
    }
    json_decref(first);
    return err->code;
}

static sl_rc carry_out(client *c, const action *a, sl_error *err)
{
    SL_BUF(text);
    json_t *body = a->body ? a->body(c, err) : NULL;
    char *dumped = NULL;
    if (err->code == SL_OK && body && !json_is_string(body))
        dumped = json_dumps(body, JSON_COMPACT);
    else if (err->code == SL_OK && body)
        dumped = sl_xstrdup(json_string_value(body));
    char *path = path_of(c, a);
    bool report = strcmp(a->name, "report") == 0 && strcmp(a->command, "usage") == 0;
    if (strcmp(a->name, "export") == 0 && !c->json)
        add_header(c, "Accept", "application/yaml");
    if (report)
        path = sl_arena_printf(&c->arena, "%s?%s%s%s%s", path, c->from ? "from=" : "",
                               c->from ? c->from : "", c->to ? "&to=" : "", c->to ? c->to : "");
    if (report && c->csv)
        add_header(c, "Accept", "text/csv");
    if (err->code == SL_OK && strcmp(a->name, "watch") == 0)
        watch(c, a, path, err);
    else if (err->code == SL_OK &&
             request(c, a->method, path,
                     json_is_string(body) ? "application/yaml" : "application/json", dumped, &text,
                     err) == SL_OK)
        show_answer(c, a, &text);
    if (err->code == SL_OK && c->count && strcmp(a->name, "create") == 0 &&
        strcmp(a->command, "task") == 0)
        clone_others(c, sl_buf_str(&text), err);
    if (dumped)
        explicit_bzero(dumped, strlen(dumped)); /* it may hold passwords */
    free(dumped);
    json_decref(body);
    return err->code;
}

/* ---- the command line ---- */

static const action *find_action(const char *command, const char *name)
{
    for (size_t i = 0; name && i < N_ACTIONS; i++)
        if (strcmp(actions[i].command, command) == 0 && strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

static int wrong(const char *command, const char *problem, const char *what)
{
    fprintf(stderr, "pgsluice %s: %s%s\nTry: pgsluice help %s\n", command, problem, what, command);
    return EXIT_USAGE;
}

static bool take_options(client *c, int argc, char **argv, const char **token_file, int *opt)
{
    static const struct option known[] = {
        { "url", required_argument, NULL, 'u' },   { "token-file", required_argument, NULL, 't' },
        { "user", required_argument, NULL, 'U' },  { "role", required_argument, NULL, 'r' },
        { "days", required_argument, NULL, 'd' },  { "json", no_argument, NULL, 'j' },
        { "force", no_argument, NULL, 'f' },       { "all", no_argument, NULL, 'a' },
        { "from", required_argument, NULL, 'F' },  { "to", required_argument, NULL, 'T' },
        { "count", required_argument, NULL, 'n' }, { "csv", no_argument, NULL, 'c' },
        { "help", no_argument, NULL, 'h' },        { 0 },
    };
    const char **texts[] = {
        ['u'] = &c->url,  ['t'] = token_file, ['U'] = &c->user, ['r'] = &c->role,
        ['d'] = &c->days, ['F'] = &c->from,   ['T'] = &c->to,   ['n'] = &c->count
    };
    bool *flags[] = { ['j'] = &c->json, ['f'] = &c->force, ['a'] = &c->all, ['c'] = &c->csv };
    opterr = 0;
    while ((*opt = getopt_long(argc, argv, ":h", known, NULL)) != -1) {
        if (*opt == 'h' || *opt == '?' || *opt == ':')
            return false;
        if (*opt == 'j' || *opt == 'f' || *opt == 'a' || *opt == 'c')
            *flags[*opt] = true;
        else
            *texts[*opt] = optarg;
    }
    return true;
}

static int run(client *c, const char *command, const action *a, const char *token_file)
{
    sl_error err = SL_ERROR_INIT;
    cli_args args = { .json = c->json };
    c->n_words = c->n_words > 0 ? c->n_words : 0;
    int expected = a->words[0] ? 1 : 0;
    for (const char *p = a->words; (p = strchr(p, ' ')); p++)
        expected++;
    bool open = strstr(a->words, "…") != NULL; /* the last word: none or many */
    if (c->n_words < expected - open)
        return wrong(command, "missing: ", a->words);
    if (c->n_words > expected && !open)
        return wrong(command, "too many words: ", c->words[c->n_words - 1]);
    c->curl = curl_easy_init();
    curl_easy_setopt(c->curl, CURLOPT_COOKIEFILE, ""); /* keeps the session's cookie */
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 180L);
    curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    sl_rc rc = c->user ? log_in(c, &err) : use_token(c, token_file, &err);
    if (rc == SL_OK)
        rc = carry_out(c, a, &err);
    curl_slist_free_all(c->headers);
    curl_easy_cleanup(c->curl);
    return rc == SL_OK ? EXIT_DONE : cli_fail(&args, &err);
}

int cli_client(int argc, char **argv)
{
    const char *url = getenv("PGSLUICE_URL"), *token_file = NULL;
    client c = { .url = url && url[0] ? url : "http://127.0.0.1:7432" };
    int opt;
    if (!take_options(&c, argc, argv, &token_file, &opt)) {
        if (opt != 'h')
            return wrong(argv[0], opt == ':' ? "a value is missing for " : "unknown option ",
                         argv[optind - 1]);
        cli_client_help(argv[0]);
        return EXIT_DONE;
    }
    const action *a = find_action(argv[0], optind < argc ? argv[optind] : NULL);
    if (!a)
        return wrong(argv[0], optind < argc ? "unknown action " : "which action?",
                     optind < argc ? argv[optind] : "");
    c.words = argv + optind + 1;
    c.n_words = argc - optind - 1;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int code = run(&c, argv[0], a, token_file);
    curl_global_cleanup();
    sl_arena_free(&c.arena);
    return code;
}
