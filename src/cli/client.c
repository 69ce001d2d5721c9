/* client.c: `pgsluice task`, `alert`, `usage`, `user`, `token`, `api`: the service's client. Each
 * action (client_actions.c) is one request, its answer shown as JSON (--json) or as a table. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "core/log.h"
#include "service/service.h"

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
    char *password = client_ask_password(c, c->user, err);
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
static char *path_of(client *c, const client_action *a)
{
    SL_BUF(path);
    int word = 0;
    if (!a->path) /* of `api` */
        return c->words[0];
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

static void show_answer(const client *c, const client_action *a, const sl_buf *text)
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
static sl_rc watch(client *c, const client_action *a, const char *path, sl_error *err)
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

/* What is edited is edited as it is now: its ETag goes with the request. */
static void add_present_etag(client *c, const char *path)
{
    SL_BUF(text);
    struct curl_header *etag;
    sl_error ignored = SL_ERROR_INIT;
    if (request(c, "GET", path, NULL, NULL, &text, &ignored) == SL_OK &&
        curl_easy_header(c->curl, "ETag", 0, CURLH_HEADER, -1, &etag) == CURLHE_OK)
        add_header(c, "If-Match", etag->value);
}

static sl_rc carry_out(client *c, const client_action *a, sl_error *err)
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
    if (err->code == SL_OK && (strcmp(a->name, "edit") == 0 || strcmp(a->name, "put") == 0))
        add_present_etag(c, path);
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

static int run(client *c, const char *command, const client_action *a, const char *token_file)
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
    const client_action *a = client_find(argv[0], optind < argc ? argv[optind] : NULL);
    if (!a)
        return wrong(argv[0], optind < argc ? "unknown action " : "which action?",
                     optind < argc ? argv[optind] : "");
    c.words = argv + optind + 1;
    c.n_words = argc - optind - 1;
    if (!a->path && c.n_words > 0 && c.words[0][0] != '/')
        return wrong(argv[0], "a path begins with /: ", c.words[0]);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int code = run(&c, argv[0], a, token_file);
    curl_global_cleanup();
    sl_arena_free(&c.arena);
    return code;
}
