/* connections_api.c: routes of connection templates, test connectivity, the tree of objects,
 * drafts. */
#include <stdlib.h>
#include <string.h>

#include "service/http.h"

/* ---- templates ---- */

/* The body's endpoint without password, checked; a new reference or NULL when answered. */
static json_t *take_endpoint(sl_request *r, const char **password)
{
    sl_error err = SL_ERROR_INIT;
    json_t *endpoint = json_deep_copy(json_object_get(r->json, "endpoint"));
    /* A specification around it: the one definition of an endpoint's keys judges it. */
    json_t *spec = json_pack("{s:s, s:O*, s:{s:s, s:s, s:s}, s:[{s:s}]}", "name", "x", "source",
                             endpoint, "destination", "host", "x", "database", "x", "user", "x",
                             "objects", "schema", "x");
    const char *none[2] = { NULL, NULL };
    sl_rc rc = sl_specs_take_endpoint(endpoint, "source", &r->arena, password, &err);
    if (rc == SL_OK)
        rc = sl_specs_check(spec, none, &err);
    json_decref(spec);
    if (rc == SL_OK)
        return endpoint;
    json_decref(endpoint);
    sl_problem_error(r, &err, rc, "invalid");
    return NULL;
}

static void show_connection(json_t *connection, bool has_password)
{
    json_object_set_new(json_object_get(connection, "endpoint"), "has_password",
                        json_boolean(has_password));
}

static void reply_connection(sl_request *r, int status, const char *id)
{
    json_t *connection = NULL;
    char *sealed = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_connection_get(r->s->catalog, id, &r->arena, &connection, &sealed, &err);
    if (rc != SL_OK) {
        sl_problem_error(r, &err, rc, "invalid");
        return;
    }
    show_connection(connection, sealed != NULL);
    sl_reply(r, status, connection);
}

static void get_connection(sl_request *r)
{
    reply_connection(r, 200, r->params[0]);
}

static void list_connections(sl_request *r)
{
    sl_page page;
    json_t *found = NULL;
    sl_error err = SL_ERROR_INIT;
    if (!sl_request_page(r, &page))
        return;
    sl_rc rc = sl_connection_list(r->s->catalog, sl_query(r, "q"), &page, &found, &err);
    if (rc == SL_OK)
        sl_reply(r, 200, found);
    else
        sl_problem_error(r, &err, rc, "bad_request");
}

static void store_connection(sl_request *r, const char *id, const char *name,
                             const json_t *endpoint, const char *password, const char *sealed,
                             int status)
{
    sl_error err = SL_ERROR_INIT;
    if (password)
        sealed = sl_secret_seal(r->s->catalog, "connection", password, &r->arena);
    sl_rc rc = sl_connection_store(r->s->catalog, id, name, endpoint, sealed, &err);
    if (rc == SL_OK)
        reply_connection(r, status, id);
    else
        sl_problem_error(r, &err, rc, "invalid");
}

static const char *const connection_keys[] = { "name", "endpoint", NULL };

static void create_connection(sl_request *r)
{
    char id[SL_ID_SIZE];
    const char *password = NULL, *name = sl_body_text(r, "name", 1, 200);
    json_t *endpoint =
        name && sl_body_only(r, connection_keys) ? take_endpoint(r, &password) : NULL;
    if (!endpoint)
        return;
    r->params[0] = sl_arena_strdup(&r->arena, sl_catalog_new_id(id));
    sl_reply_header(r, "Location", sl_arena_printf(&r->arena, "/api/v1/connections/%s", id));
    store_connection(r, id, name, endpoint, password, NULL, 201);
    json_decref(endpoint);
}

static void put_connection(sl_request *r)
{
    json_t *before = NULL;
    char *sealed = NULL;
    sl_error err = SL_ERROR_INIT;
    const char *password = NULL, *name = sl_body_text(r, "name", 1, 200);
    json_t *endpoint =
        name && sl_body_only(r, connection_keys) ? take_endpoint(r, &password) : NULL;
    if (!endpoint)
        return;
    sl_rc rc = sl_connection_get(r->s->catalog, r->params[0], &r->arena, &before, &sealed, &err);
    if (rc != SL_OK)
        sl_problem_error(r, &err, rc, "invalid");
    else if (sealed && !password &&
             !sl_specs_same_server(json_object_get(before, "endpoint"), endpoint))
        sl_problem_field(r, "/endpoint/password",
                         "is needed again, since host, port, socket, user or ssh changed");
    else
        store_connection(r, r->params[0], name, endpoint, password, sealed, 200);
    json_decref(before);
    json_decref(endpoint);
}

static void delete_connection(sl_request *r)
{
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_connection_delete(r->s->catalog, r->params[0], &err);
    if (rc == SL_OK)
        sl_reply_nothing(r);
    else
        sl_problem_error(r, &err, rc, "invalid");
}

/* ---- questions to a server ---- */

/* The endpoint that the body chooses, with its password; a new reference or NULL when answered. */
static json_t *stored_endpoint(sl_request *r, const char *task, const char *connection, bool source)
{
    json_t *endpoint = NULL, *found = NULL;
    char *sealed = NULL, *password = NULL;
    sl_task_row row = { 0 };
    sl_error err = SL_ERROR_INIT;
    sl_rc rc;
    if (task) {
        rc = sl_task_read(r->s->catalog, task, &r->arena, &row, &err);
        endpoint = json_deep_copy(json_object_get(row.spec, source ? "source" : "destination"));
        sealed = (char *)row.passwords[source ? 0 : 1];
    } else {
        rc = sl_connection_get(r->s->catalog, connection, &r->arena, &found, &sealed, &err);
        endpoint = json_deep_copy(json_object_get(found, "endpoint"));
    }
    if (rc == SL_OK && sealed)
        rc = sl_secret_open(r->s->catalog, task ? "task" : "connection", sealed, &r->arena,
                            &password, &err);
    if (password)
        json_object_set_new(endpoint, "password", json_string(password));
    sl_task_row_free(&row);
    json_decref(found);
    if (rc == SL_OK)
        return endpoint;
    json_decref(endpoint);
    sl_problem_error(r, &err, rc, "invalid");
    return NULL;
}

/* side NULL: as the body says. */
static json_t *chosen_endpoint(sl_request *r, const char *side, bool *source)
{
    side = side ? side : sl_body_text(r, "side", 1, 11);
    const char *task = side ? sl_body_text(r, "task", 0, 16) : NULL;
    const char *connection = side ? sl_body_text(r, "connection", 0, 20) : NULL;
    const json_t *given = json_object_get(r->json, "endpoint");
    const char *password = NULL;
    if (r->answered)
        return NULL;
    if (strcmp(side, "source") != 0 && strcmp(side, "destination") != 0) {
        sl_problem_field(r, "/side", "is neither source nor destination");
        return NULL;
    }
    if (!!task + !!connection + !!given != 1) {
        sl_problem(r, "invalid", NULL, "give exactly one of endpoint, connection and task");
        return NULL;
    }
    *source = strcmp(side, "source") == 0;
    if (!given)
        return stored_endpoint(r, task, connection, *source);
    json_t *endpoint = take_endpoint(r, &password);
    if (endpoint && password)
        json_object_set_new(endpoint, "password", json_string(password));
    return endpoint;
}

/* Asks `pgsluice inspect` and answers with what it says; endpoint is stolen. */
static void reply_inspected(sl_request *r, const char *what, json_t *endpoint, bool source)
{
    const char *words[] = { "pgsluice", "inspect", NULL };
    static const char *const options[] = {
        "schema", "table", "search", "limit", "cursor", "where"
    };
    sl_error err = SL_ERROR_INIT;
    SL_BUF(output);
    int code = 0;
    json_t *request =
        json_pack("{s:s, s:b, s:o}", "what", what, "source", source, "endpoint", endpoint);
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        json_object_set(request, options[i], json_object_get(r->json, options[i]));
    char *text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    sl_rc rc = sl_process_ask(r->s, words, text, 40, &output, &code, &err);
    sl_specs_wipe(text);
    json_t *answer = rc == SL_OK ? json_loadb(sl_buf_str(&output), output.len, 0, NULL) : NULL;
    const char *problem = json_string_value(json_object_get(answer, "problem"));
    const char *hint = json_string_value(json_object_get(answer, "hint"));
    if (rc != SL_OK)
        sl_problem_error(r, &err, rc, "invalid");
    else if (!answer || problem)
        sl_problem(r, problem ? "upstream" : "server_error", hint, "%s",
                   problem ? problem : "the process that asked the server failed");
    else {
        sl_reply(r, 200, answer);
        return;
    }
    json_decref(answer);
}

static void test_connection(sl_request *r)
{
    static const char *const keys[] = { "side", "endpoint", "connection", "task", NULL };
    bool source = false;
    json_t *endpoint = sl_body_only(r, keys) ? chosen_endpoint(r, NULL, &source) : NULL;
    if (endpoint)
        reply_inspected(r, "test", endpoint, source);
}

static void browse_objects(sl_request *r)
{
    static const char *const keys[] = { "side",  "endpoint", "connection", "task",   "schema",
                                        "table", "search",   "limit",      "cursor", NULL };
    bool source = false;
    const json_t *limit = json_object_get(r->json, "limit");
    const char *schema = sl_body_text(r, "schema", 0, 63), *table = NULL;
    if (!r->answered)
        table = sl_body_text(r, "table", 0, 63);
    if (!r->answered)
        sl_body_text(r, "search", 0, 100);
    if (!r->answered)
        sl_body_text(r, "cursor", 0, 300);
    if (r->answered || !sl_body_only(r, keys))
        return;
    if (table && !schema)
        sl_problem_field(r, "/schema", "is needed with table");
    else if (limit && (json_integer_value(limit) < 1 || json_integer_value(limit) > 1000))
        sl_problem_field(r, "/limit", "is not a number from 1 to 1000");
    json_t *endpoint = r->answered ? NULL : chosen_endpoint(r, NULL, &source);
    if (endpoint)
        reply_inspected(r, "browse", endpoint, source);
}

static void check_filter(sl_request *r)
{
    static const char *const keys[] = { "endpoint", "connection", "task", "schema",
                                        "table",    "where",      NULL };
    bool source = true;
    const char *schema = sl_body_text(r, "schema", 1, 63);
    const char *table = schema ? sl_body_text(r, "table", 1, 63) : NULL;
    const char *where = table ? sl_body_text(r, "where", 1, 10000) : NULL;
    if (!where || !sl_body_only(r, keys))
        return;
    if (strpbrk(table, "*?")) {
        sl_problem_field(r, "/table", "is a pattern: name one table to check the condition on");
        return;
    }
    json_t *endpoint = chosen_endpoint(r, "source", &source);
    if (endpoint)
        reply_inspected(r, "filter", endpoint, source);
}

/* ---- drafts ---- */

static void hide_passwords(json_t *value)
{
    const char *key;
    json_t *child;
    void *next;
    size_t i;
    json_array_foreach(value, i, child) hide_passwords(child);
    json_object_foreach_safe(value, next, key, child)
    {
        if (strcmp(key, "password") == 0)
            json_object_set_new(value, key, json_null());
        else
            hide_passwords(child);
    }
}

static void reply_draft(sl_request *r, int status, const char *id)
{
    json_t *draft = NULL;
    char *sealed, *text;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_draft_get(r->s->catalog, id, r->who.user, &r->arena, &draft, &sealed, &err);
    if (rc == SL_OK)
        rc = sl_secret_open(r->s->catalog, "draft", sealed, &r->arena, &text, &err);
    if (rc != SL_OK) {
        json_decref(draft);
        sl_problem_error(r, &err, rc, "invalid");
        return;
    }
    json_t *content = json_loads(text, 0, NULL);
    explicit_bzero(text, strlen(text));
    hide_passwords(content);
    json_object_set_new(draft, "content", content ? content : json_object());
    json_int_t version = json_integer_value(json_object_get(draft, "version"));
    sl_reply_header(r, "ETag", sl_arena_printf(&r->arena, "\"%lld\"", (long long)version));
    sl_reply(r, status, draft);
}

static void store_draft(sl_request *r, const char *id, int64_t version)
{
    static const char *const keys[] = { "name", "content", NULL };
    sl_error err = SL_ERROR_INIT;
    const char *name = sl_body_text(r, "name", 1, 200);
    const json_t *content = json_object_get(r->json, "content");
    if (!name || !sl_body_only(r, keys))
        return;
    if (!json_is_object(content)) {
        sl_problem_field(r, "/content", "is missing or no object");
        return;
    }
    char *text = json_dumps(content, JSON_COMPACT);
    char *sealed = sl_secret_seal(r->s->catalog, "draft", text, &r->arena);
    sl_specs_wipe(text);
    sl_rc rc = sl_draft_store(r->s->catalog, id, r->who.user, name, sealed, version, &err);
    if (rc == SL_OK)
        reply_draft(r, version == 0 ? 201 : 200, id);
    else if (rc == SL_NOT_FOUND)
        sl_problem(r, "precondition_failed", "Read it again.",
                   "the draft was changed since, or is gone");
    else
        sl_problem_error(r, &err, rc, "invalid");
}

static void create_draft(sl_request *r)
{
    char id[SL_ID_SIZE];
    r->params[0] = sl_arena_strdup(&r->arena, sl_catalog_new_id(id));
    store_draft(r, r->params[0], 0);
}

static void put_draft(sl_request *r)
{
    int64_t version = sl_if_match(r);
    if (version > 0)
        store_draft(r, r->params[0], version);
}

static void get_draft(sl_request *r)
{
    reply_draft(r, 200, r->params[0]);
}

static void list_drafts(sl_request *r)
{
    json_t *drafts = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_draft_list(r->s->catalog, r->who.user, &drafts, &err);
    if (rc == SL_OK)
        sl_reply(r, 200, drafts);
    else
        sl_problem_error(r, &err, rc, "invalid");
}

static void delete_draft(sl_request *r)
{
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_draft_delete(r->s->catalog, r->params[0], r->who.user, &err);
    if (rc == SL_OK)
        sl_reply_nothing(r);
    else
        sl_problem_error(r, &err, rc, "invalid");
}

#define C "/api/v1/connections"
#define D "/api/v1/drafts"
const sl_route_row sl_routes_connections[] = {
    { "GET", C, SL_ROLE_VIEWER, 0, list_connections, "list_connections" },
    { "POST", C, SL_ROLE_OPERATOR, SL_ROUTE_BODY | SL_ROUTE_REPEATABLE, create_connection,
      "create_connection" },
    { "POST", C "/test", SL_ROLE_OPERATOR, SL_ROUTE_BODY | SL_ROUTE_QUIET, test_connection,
      "test_connection" },
    { "POST", C "/objects", SL_ROLE_OPERATOR, SL_ROUTE_BODY | SL_ROUTE_QUIET, browse_objects,
      "browse_objects" },
    { "POST", "/api/v1/preview/filter", SL_ROLE_OPERATOR, SL_ROUTE_BODY | SL_ROUTE_QUIET,
      check_filter, "check_filter" },
    { "GET", C "/*", SL_ROLE_VIEWER, 0, get_connection, "get_connection" },
    { "PUT", C "/*", SL_ROLE_OPERATOR, SL_ROUTE_BODY, put_connection, "put_connection" },
    { "DELETE", C "/*", SL_ROLE_OPERATOR, 0, delete_connection, "delete_connection" },
    { "GET", D, SL_ROLE_OPERATOR, 0, list_drafts, "list_drafts" },
    { "POST", D, SL_ROLE_OPERATOR, SL_ROUTE_BODY | SL_ROUTE_QUIET, create_draft, "create_draft" },
    { "GET", D "/*", SL_ROLE_OPERATOR, 0, get_draft, "get_draft" },
    { "PUT", D "/*", SL_ROLE_OPERATOR, SL_ROUTE_BODY | SL_ROUTE_QUIET, put_draft, "put_draft" },
    { "DELETE", D "/*", SL_ROLE_OPERATOR, SL_ROUTE_QUIET, delete_draft, "delete_draft" },
    { NULL },
};
