/* specs_api.c: routes of specifications: creating a task, reading and replacing its specification,
 * its history, passwords, ignored findings, clones, the keys. */
#include <stdlib.h>
#include <string.h>

#include "service/http.h"
#include "spec/keys.h"

static const char *const sides[] = { "source", "destination" };

/* ---- helpers ---- */

/* The body's specification: JSON (the whole body, or its member `key`) or YAML. A new reference;
 * NULL when answered. */
static json_t *body_spec(sl_request *r, const char *key)
{
    json_t *spec = NULL;
    sl_error err = SL_ERROR_INIT;
    if (!r->json) {
        if (sl_specs_from_yaml(sl_buf_str(&r->body), r->body.len, &spec, &err) != SL_OK)
            sl_problem_error(r, &err, err.code, "invalid");
        return spec;
    }
    spec = key ? json_object_get(r->json, key) : r->json;
    if (!json_is_object(spec)) {
        sl_problem_field(r, "/spec", "is missing or no object");
        return NULL;
    }
    return json_deep_copy(spec);
}

static void seal(sl_request *r, const char *const passwords[2], const char *sealed[2])
{
    for (int i = 0; i < 2; i++)
        sealed[i] =
            passwords[i] ? sl_secret_seal(r->s->catalog, "task", passwords[i], &r->arena) : NULL;
}

static void wipe(const char *passwords[2])
{
    for (int i = 0; i < 2; i++)
        if (passwords[i])
            explicit_bzero((char *)passwords[i], strlen(passwords[i]));
}

static void set_etag(sl_request *r, int64_t version)
{
    sl_reply_header(r, "ETag", sl_arena_printf(&r->arena, "\"%lld\"", (long long)version));
}

/* Stores a new task and answers with it. spec is borrowed. */
static void store_new(sl_request *r, const char *id, const json_t *spec,
                      const char *const passwords[2])
{
    const char *sealed[2];
    sl_error err = SL_ERROR_INIT;
    const char *name = json_string_value(json_object_get(spec, "name"));
    seal(r, passwords, sealed);
    sl_rc rc = sl_task_create(r->s->catalog, id, name ? name : id, spec, sealed, r->who.user, &err);
    if (rc != SL_OK) {
        sl_problem_error(r, &err, rc, "invalid");
        return;
    }
    {
        SL_SERVICE_LOCKED(r->s);
        sl_supervisor_add(r->s, id, "draft", "none", false);
    }
    sl_alerts_changed(r->s);
    r->params[0] = sl_arena_strdup(&r->arena, id); /* for the audit */
    sl_reply_header(r, "Location", sl_arena_printf(&r->arena, "/api/v1/tasks/%s", id));
    set_etag(r, 1);
    sl_reply_task(r, 201, id);
}

/* As a worker and as the service will read it. */
static sl_rc check_spec(sl_request *r, const json_t *spec, const char *const passwords[2],
                        sl_error *err)
{
    const json_t *alerts = json_object_get(spec, "alerts");
    if (sl_specs_check(spec, passwords, err) == SL_OK && alerts)
        sl_alerts_check_own(r->s, alerts, err);
    return err->code;
}

/* ---- creating ---- */

/* Copies a template into one side of the specification. False when answered. */
static bool use_template(sl_request *r, json_t *spec, int side)
{
    sl_error err = SL_ERROR_INIT;
    const char *key = side == 0 ? "source_connection" : "destination_connection";
    const char *id = r->json ? sl_body_text(r, key, 0, 20) : NULL;
    json_t *connection = NULL;
    char *sealed = NULL, *password = NULL;
    if (!id)
        return !r->answered;
    sl_rc rc = sl_connection_get(r->s->catalog, id, &r->arena, &connection, &sealed, &err);
    if (rc == SL_NOT_FOUND) {
        sl_problem_field(r, sl_arena_printf(&r->arena, "/%s", key), "names no template");
        return false;
    }
    if (rc == SL_OK && sealed)
        rc = sl_secret_open(r->s->catalog, "connection", sealed, &r->arena, &password, &err);
    if (rc != SL_OK) {
        sl_problem_error(r, &err, rc, "invalid");
    } else {
        json_t *endpoint = json_incref(json_object_get(connection, "endpoint"));
        json_object_set_new(spec, sides[side], endpoint);
        if (password)
            json_object_set_new(endpoint, "password", json_string(password));
    }
    json_decref(connection);
    return rc == SL_OK;
}

/* The id of a new task: the specification's own, with which the service goes on with a task that
 * `pgsluice run` began, else a fresh one. In the request's arena; NULL when answered. */
static const char *new_id(sl_request *r, const json_t *spec)
{
    char fresh[SL_ID_SIZE];
    const json_t *own = json_object_get(spec, "id");
    if (!own)
        return sl_arena_strdup(&r->arena, sl_catalog_new_id(fresh));
    if (!json_is_string(own)) {
        sl_problem_field(r, "/spec/id", "is no text");
        return NULL;
    }
    const char *id = json_string_value(own);
    SL_SERVICE_LOCKED(r->s);
    if (!sl_supervisor_find(r->s, id))
        return sl_arena_strdup(&r->arena, id);
    sl_problem(r, "conflict", "Leave id out of the specification to create another one.",
               "there is a task with the id %s already", id);
    return NULL;
}

/* The body of NewTask as a checked specification; *id is the new task's. A new reference or NULL
 * when answered. */
static json_t *take_new(sl_request *r, const char **id, const char *passwords[2])
{
    static const char *const keys[] = { "spec", "source_connection", "destination_connection",
                                        NULL };
    sl_error err = SL_ERROR_INIT;
    if (r->json && !sl_body_only(r, keys))
        return NULL;
    json_t *spec = body_spec(r, "spec");
    if (spec && use_template(r, spec, 0) && use_template(r, spec, 1) &&
        (*id = new_id(r, spec)) != NULL) {
        if (sl_specs_take(spec, *id, &r->arena, passwords, &err) == SL_OK &&
            check_spec(r, spec, passwords, &err) == SL_OK)
            return spec;
        sl_problem_error(r, &err, err.code, "invalid");
    }
    json_decref(spec);
    return NULL;
}

static void create_task(sl_request *r)
{
    const char *id, *passwords[2] = { NULL, NULL };
    json_t *spec = take_new(r, &id, passwords);
    if (spec)
        store_new(r, id, spec, passwords);
    wipe(passwords);
    json_decref(spec);
}

/* What a specification would do that is not stored. */
static void ask_about_spec(sl_request *r, const char *const *words)
{
    const char *id, *passwords[2] = { NULL, NULL };
    SL_BUF(output);
    json_t *spec = take_new(r, &id, passwords);
    char *text = spec ? sl_specs_text(spec, passwords) : NULL;
    if (text && sl_ask_with(r, words, text, 120, &output))
        sl_reply_plan(r, &output);
    sl_specs_wipe(text);
    wipe(passwords);
    json_decref(spec);
}

static void plan_spec(sl_request *r)
{
    ask_about_spec(r, sl_plan_words);
}

static void preview_mapping(sl_request *r)
{
    static const char *const words[] = { "pgsluice", "plan", "-", "--names", "--json", NULL };
    ask_about_spec(r, words);
}

static void clone_task(sl_request *r)
{
    static const char *const keys[] = { "name", NULL };
    char id[SL_ID_SIZE];
    sl_task_row row;
    const char *passwords[2] = { NULL, NULL };
    sl_error err = SL_ERROR_INIT;
    const char *name = sl_body_text(r, "name", 1, 200);
    if (!name || !sl_body_only(r, keys))
        return;
    sl_rc rc = sl_task_read(r->s->catalog, r->params[0], &r->arena, &row, &err);
    if (rc == SL_OK)
        rc = sl_specs_open(r->s, &row, &r->arena, passwords, &err);
    if (rc == SL_OK) {
        sl_catalog_new_id(id);
        json_object_set_new(row.spec, "id", json_string(id));
        json_object_set_new(row.spec, "name", json_string(name));
        store_new(r, id, row.spec, passwords);
    } else {
        sl_problem_error(r, &err, rc, "invalid");
    }
    wipe(passwords);
    sl_task_row_free(&row);
}

/* ---- reading ---- */

static void reply_spec(sl_request *r, sl_task_row *row)
{
    sl_specs_show(row->spec, row->passwords[0], row->passwords[1]);
    set_etag(r, row->spec_version);
    if (!sl_accepts(r, "application/yaml")) {
        sl_reply(r, 200, json_incref(row->spec));
        return;
    }
    SL_BUF(text);
    for (int i = 0; i < 2; i++)
        json_object_del(json_object_get(row->spec, sides[i]), "has_password");
    sl_specs_to_yaml(row->spec, &text);
    sl_reply_text(r, 200, "application/yaml", sl_buf_str(&text));
}

static void get_spec(sl_request *r)
{
    sl_task_row row;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_task_read(r->s->catalog, r->params[0], &r->arena, &row, &err);
    if (rc == SL_OK)
        reply_spec(r, &row);
    else
        sl_problem_error(r, &err, rc, "invalid");
    sl_task_row_free(&row);
}

static void spec_history(sl_request *r)
{
    sl_page page;
    json_t *versions = NULL, *task = NULL;
    sl_error err = SL_ERROR_INIT;
    if (!sl_request_page(r, &page))
        return;
    sl_rc rc = sl_task_get(r->s->catalog, r->params[0], &task, &err);
    if (rc == SL_OK)
        rc = sl_task_spec_history(r->s->catalog, r->params[0], &page, &versions, &err);
    json_decref(task);
    if (rc == SL_OK)
        sl_reply(r, 200, versions);
    else
        sl_problem_error(r, &err, rc, "bad_request");
}

static void spec_version(sl_request *r)
{
    json_t *spec = NULL;
    char *end;
    sl_error err = SL_ERROR_INIT;
    long long version = strtoll(r->params[1], &end, 10);
    sl_rc rc = *end ? SL_NOT_FOUND
                    : sl_task_spec_version(r->s->catalog, r->params[0], version, &spec, &err);
    if (rc == SL_OK)
        sl_reply(r, 200, spec);
    else
        sl_problem_error(r, &err, rc, "invalid");
}

static void add_keys(json_t *items, sl_scope scope, const char *prefix, int depth)
{
    SL_SCRATCH(tmp);
    char takes[160];
    for (const sl_key *key = sl_keys; depth < 6 && key->scope != SL_SCOPE_NONE; key++) {
        if (key->scope != scope || !sl_key_applies(key, strstr(prefix, "destination") != NULL))
            continue;
        const char *path = sl_arena_printf(&tmp, "%s%s", prefix, key->name);
        json_array_append_new(items, json_pack("{s:s, s:s, s:b, s:b, s:s?, s:s}", "path", path,
                                               "takes", sl_key_takes(key, takes), "required",
                                               (key->flags & SL_KEY_REQUIRED) != 0, "supported",
                                               !key->until || key->flags & SL_KEY_SERVICE,
                                               "default", key->standard, "help", key->help));
        if (key->value == SL_VALUE_MAP)
            add_keys(items, key->child, sl_arena_printf(&tmp, "%s.", path), depth + 1);
        else if (key->value == SL_VALUE_MAPS)
            add_keys(items, key->child, sl_arena_printf(&tmp, "%s[].", path), depth + 1);
    }
}

static void spec_keys(sl_request *r)
{
    json_t *items = json_array();
    add_keys(items, SL_SCOPE_TASK, "", 0);
    sl_reply(r, 200, json_pack("{s:o}", "items", items));
}

/* ---- changing ---- */

/* Fills in the passwords that were kept. False when answered. */
static bool keep_passwords(sl_request *r, const sl_task_row *row, const json_t *spec,
                           const char *passwords[2])
{
    const char *kept[2] = { NULL, NULL };
    sl_error err = SL_ERROR_INIT;
    if (sl_specs_open(r->s, row, &r->arena, kept, &err) != SL_OK &&
        !(passwords[0] && passwords[1])) {
        sl_problem_error(r, &err, err.code, "invalid");
        return false;
    }
    for (int i = 0; i < 2; i++) {
        if (passwords[i] || !kept[i])
            continue;
        if (!sl_specs_same_server(json_object_get(row->spec, sides[i]),
                                  json_object_get(spec, sides[i]))) {
            sl_problem_field(r, sl_arena_printf(&r->arena, "/%s/password", sides[i]),
                             "is needed again, since host, port, socket or user changed");
            return false;
        }
        passwords[i] = kept[i];
    }
    return true;
}

/* A task that has something on the servers keeps them. False when answered. */
static bool keeps_databases(sl_request *r, const sl_task_row *row, const json_t *spec)
{
    for (int i = 0; row->started && i < 2; i++)
        if (!sl_specs_same(json_object_get(row->spec, sides[i]), json_object_get(spec, sides[i]),
                           "database")) {
            sl_problem_field(r, sl_arena_printf(&r->arena, "/%s/database", sides[i]),
                             "cannot change once the task was started; release it first");
            return false;
        }
    return true;
}

/* Stores a new version under the lock, so that nothing is started with half of it. */
static sl_rc replace(sl_request *r, const sl_task_row *row, int64_t version, const json_t *spec,
                     const char *const passwords[2], sl_error *err)
{
    const char *sealed[2];
    const char *name = json_string_value(json_object_get(spec, "name"));
    seal(r, passwords, sealed);
    SL_SERVICE_LOCKED(r->s);
    sl_task *task = sl_supervisor_find(r->s, row->id);
    if (!task)
        return SL_NOT_FOUND;
    if (!sl_state_allows(task->state, task->started, "edit") || task->job != SL_JOB_NONE) {
        sl_fail(err, SL_USAGE, "the task is %s: its specification cannot be changed now",
                task->state);
        return sl_hint(err, "Pause it first.");
    }
    sl_rc rc = sl_task_replace_spec(r->s->catalog, row->id, version, name ? name : row->id, spec,
                                    sealed, r->who.user, err);
    if (rc == SL_NOT_FOUND) {
        sl_fail(err, SL_CANCELLED, "somebody else has changed the specification");
        return sl_hint(err, "Read it again and repeat the change.");
    }
    sl_alerts_changed(r->s);
    if (rc == SL_OK && sl_state_may_move(task->state, "draft"))
        rc = sl_state_move(r->s, task, "draft", NULL, "none", true, err);
    return rc;
}

static bool replaced(sl_request *r, sl_rc rc, const sl_error *err)
{
    if (rc == SL_CANCELLED)
        sl_problem(r, "precondition_failed", err->hint, "%s", err->message);
    else if (rc != SL_OK)
        sl_problem_error(r, err, rc, "wrong_state");
    return rc == SL_OK;
}

static void put_spec_of(sl_request *r, const sl_task_row *row, json_t *spec, int64_t version)
{
    const char *passwords[2] = { NULL, NULL };
    sl_error err = SL_ERROR_INIT;
    if (sl_specs_take(spec, row->id, &r->arena, passwords, &err) != SL_OK) {
        sl_problem_error(r, &err, err.code, "invalid");
    } else if (keep_passwords(r, row, spec, passwords) && keeps_databases(r, row, spec)) {
        if (check_spec(r, spec, passwords, &err) != SL_OK)
            sl_problem_error(r, &err, err.code, "invalid");
        else if (replaced(r, replace(r, row, version, spec, passwords, &err), &err)) {
            sl_specs_show(spec, passwords[0], passwords[1]);
            set_etag(r, version + 1);
            sl_reply(r, 200, json_incref(spec));
        }
    }
    wipe(passwords);
}

static void put_spec(sl_request *r)
{
    sl_task_row row;
    sl_error err = SL_ERROR_INIT;
    int64_t version = sl_if_match(r);
    json_t *spec = version > 0 ? body_spec(r, NULL) : NULL;
    if (!spec)
        return;
    sl_rc rc = sl_task_read(r->s->catalog, r->params[0], &r->arena, &row, &err);
    if (rc == SL_OK)
        put_spec_of(r, &row, spec, version);
    else
        sl_problem_error(r, &err, rc, "invalid");
    sl_task_row_free(&row);
    json_decref(spec);
}

static void change_credentials(sl_request *r)
{
    static const char *const keys[] = { "source_password", "destination_password", NULL };
    const char *passwords[2], *sealed[2];
    sl_error err = SL_ERROR_INIT;
    for (int i = 0; i < 2; i++)
        passwords[i] = json_object_get(r->json, keys[i]) ? sl_body_text(r, keys[i], 1, 1000) : NULL;
    if (r->answered || !sl_body_only(r, keys))
        return;
    if (!passwords[0] && !passwords[1]) {
        sl_problem(r, "invalid", NULL, "give source_password, destination_password or both");
        return;
    }
    seal(r, passwords, sealed);
    sl_rc rc = sl_task_set_passwords(r->s->catalog, r->params[0], sealed, &err);
    if (rc == SL_OK)
        sl_reply_nothing(r);
    else
        sl_problem_error(r, &err, rc, "invalid");
}

/* ---- ignored findings ---- */

/* Marks the stored findings as the next precheck will, so that the success rate is right at once.
 */
static void mark_ignored(sl_request *r, const char *id, const json_t *ignore)
{
    SL_SCRATCH(tmp);
    sl_error err = SL_ERROR_INIT;
    json_t *findings = NULL, *finding, *word;
    size_t i, j;
    if (sl_findings_read(r->s->catalog, id, &findings, &err) != SL_OK)
        return;
    json_array_foreach(json_object_get(findings, "items"), i, finding)
    {
        const char *check = json_string_value(json_object_get(finding, "check"));
        const char *object = json_string_value(json_object_get(finding, "object"));
        const char *exact = sl_arena_printf(&tmp, "%s@%s", check, object ? object : "");
        bool named = false;
        json_array_foreach(ignore, j, word) named |= strcmp(json_string_value(word), check) == 0 ||
                                                     strcmp(json_string_value(word), exact) == 0;
        bool ignorable = json_is_true(json_object_get(finding, "ignorable"));
        json_object_set_new(finding, "ignored", json_boolean(named && ignorable));
    }
    SL_SERVICE_LOCKED(r->s);
    sl_task *task = sl_supervisor_find(r->s, id);
    if (task && task->job == SL_JOB_NONE && !json_is_null(json_object_get(findings, "summary"))) {
        int failed;
        json_decref(task->findings);
        task->findings = json_incref(json_object_get(findings, "items"));
        sl_events_checked(r->s, task, &failed);
    }
    json_decref(findings);
}

static bool ignore_is_valid(sl_request *r, const json_t *ignore)
{
    size_t i;
    json_t *word;
    if (!json_is_array(ignore) || json_array_size(ignore) > 1000) {
        sl_problem_field(r, "/ignore", "is no list of at most 1000 checks");
        return false;
    }
    json_array_foreach(ignore, i, word) if (!json_is_string(word))
    {
        sl_problem_field(r, sl_arena_printf(&r->arena, "/ignore/%zu", i), "is not a text");
        return false;
    }
    return true;
}

static void ignore_findings(sl_request *r)
{
    static const char *const keys[] = { "ignore", NULL };
    sl_task_row row;
    const char *passwords[2] = { NULL, NULL };
    sl_error err = SL_ERROR_INIT;
    json_t *ignore = json_object_get(r->json, "ignore"), *findings = NULL;
    if (!sl_body_only(r, keys) || !ignore_is_valid(r, ignore))
        return;
    sl_rc rc = sl_task_read(r->s->catalog, r->params[0], &r->arena, &row, &err);
    if (rc == SL_OK)
        rc = sl_specs_open(r->s, &row, &r->arena, passwords, &err);
    if (rc == SL_OK) {
        if (json_array_size(ignore) > 0)
            json_object_set_new(row.spec, "precheck", json_pack("{s:O}", "ignore", ignore));
        else
            json_object_del(row.spec, "precheck");
        rc = sl_specs_check(row.spec, passwords, &err);
    }
    if (rc != SL_OK) {
        sl_problem_error(r, &err, rc, "invalid");
    } else if (replaced(r, replace(r, &row, row.spec_version, row.spec, passwords, &err), &err)) {
        mark_ignored(r, row.id, ignore);
        rc = sl_findings_read(r->s->catalog, row.id, &findings, &err);
        if (rc == SL_OK)
            sl_reply(r, 200, findings);
        else
            sl_problem_error(r, &err, rc, "invalid");
    }
    wipe(passwords);
    sl_task_row_free(&row);
}

#define V1 "/api/v1/tasks"
const sl_route_row sl_routes_specs[] = {
    { "POST", V1, SL_ROLE_OPERATOR, SL_ROUTE_BODY | SL_ROUTE_YAML | SL_ROUTE_REPEATABLE,
      create_task, "create_task" },
    { "POST", V1 "/*/clone", SL_ROLE_OPERATOR, SL_ROUTE_BODY | SL_ROUTE_REPEATABLE, clone_task,
      "clone_task" },
    { "GET", V1 "/*/spec", SL_ROLE_VIEWER, 0, get_spec, "get_spec" },
    { "PUT", V1 "/*/spec", SL_ROLE_OPERATOR, SL_ROUTE_BODY | SL_ROUTE_YAML, put_spec, "put_spec" },
    { "GET", V1 "/*/spec/history", SL_ROLE_VIEWER, 0, spec_history, "spec_history" },
    { "GET", V1 "/*/spec/history/*", SL_ROLE_VIEWER, 0, spec_version, "spec_version" },
    { "PUT", V1 "/*/credentials", SL_ROLE_OPERATOR, SL_ROUTE_BODY, change_credentials,
      "change_credentials" },
    { "PUT", V1 "/*/findings/ignored", SL_ROLE_OPERATOR, SL_ROUTE_BODY, ignore_findings,
      "ignore_findings" },
    { "POST", "/api/v1/preview/plan", SL_ROLE_OPERATOR,
      SL_ROUTE_BODY | SL_ROUTE_YAML | SL_ROUTE_QUIET, plan_spec, "plan_spec" },
    { "POST", "/api/v1/preview/mapping", SL_ROLE_OPERATOR,
      SL_ROUTE_BODY | SL_ROUTE_YAML | SL_ROUTE_QUIET, preview_mapping, "preview_mapping" },
    { "GET", "/api/v1/spec/keys", SL_ROLE_VIEWER, 0, spec_keys, "spec_keys" },
    { NULL },
};
