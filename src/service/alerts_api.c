/* alerts_api.c: routes of alert rules, contacts, deliveries, and a task's own alerts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "service/http.h"

#define MOST_CONTACTS 50
#define MOST_TASKS 1000

static const char *at(sl_request *r, const char *fmt, const char *key, size_t i)
{
    return sl_arena_printf(&r->arena, fmt, key, i);
}

static void reply_or_problem(sl_request *r, sl_rc rc, json_t *json, const sl_error *err,
                             const char *usage)
{
    if (rc == SL_OK)
        sl_reply(r, 200, json);
    else
        sl_problem_error(r, err, rc, usage);
}

/* An optional integer member; false when answered. */
static bool take_number(sl_request *r, const char *key, int64_t least, int64_t most, int64_t *out)
{
    const json_t *value = json_object_get(r->json, key);
    if (!value || json_is_null(value))
        return true;
    *out = json_integer_value(value);
    if (json_is_integer(value) && *out >= least && *out <= most)
        return true;
    sl_problem_field(r, sl_arena_printf(&r->arena, "/%s", key),
                     sl_arena_printf(&r->arena, "is no number from %lld to %lld", (long long)least,
                                     (long long)most));
    return false;
}

/* ---- rules ---- */

static bool take_contacts(sl_request *r, const json_t *contacts)
{
    json_t *value, *found;
    sl_error err = SL_ERROR_INIT;
    size_t i, n = json_array_size(contacts);
    if (n < 1 || n > MOST_CONTACTS) {
        sl_problem_field(r, "/contacts", "is no list of 1 to 50 contacts");
        return false;
    }
    json_array_foreach(contacts, i, value)
    {
        const char *name = json_string_value(value);
        sl_rc rc = name ? sl_contact_get(r->s->catalog, name, &r->arena, &found, NULL, &err)
                        : SL_NOT_FOUND;
        if (rc == SL_OK) {
            json_decref(found);
            continue;
        }
        if (rc == SL_NOT_FOUND)
            sl_problem_field(r, at(r, "/%s/%zu", "contacts", i), "names no contact");
        else
            sl_problem_error(r, &err, rc, "invalid");
        return false;
    }
    return true;
}

static bool take_tasks(sl_request *r, const json_t *tasks)
{
    json_t *id;
    size_t i;
    if (!tasks || json_is_null(tasks))
        return true;
    if (!json_is_array(tasks) || json_array_size(tasks) > MOST_TASKS) {
        sl_problem_field(r, "/tasks", "is neither null nor a list of at most 1000 tasks");
        return false;
    }
    SL_SERVICE_LOCKED(r->s);
    json_array_foreach(tasks, i, id)
    {
        if (!json_is_string(id) || !sl_supervisor_find(r->s, json_string_value(id))) {
            sl_problem_field(r, at(r, "/%s/%zu", "tasks", i), "names no task");
            return false;
        }
    }
    return true;
}

static bool take_threshold(sl_request *r, const char *kind, json_t **threshold)
{
    json_t *given = json_object_get(r->json, "threshold");
    double standard = sl_alerts_standard(kind), value = json_number_value(given);
    bool none = !given || json_is_null(given);
    if (none && standard == -1) {
        sl_problem_field(r, "/threshold", "is needed for this kind");
        return false;
    }
    if (!none && isnan(standard)) {
        sl_problem_field(r, "/threshold", "means nothing for this kind");
        return false;
    }
    if (!none && (!json_is_number(given) || !(value >= 0) || value > 1e18)) {
        sl_problem_field(r, "/threshold", "is no number from 0");
        return false;
    }
    *threshold = !none ? json_incref(given) : isnan(standard) ? json_null() : json_real(standard);
    return true;
}

static bool take_mute_and_text(sl_request *r, const char **muted, const char **text)
{
    static const char *const keys[] = { "muted_until", "template" };
    const char **out[] = { muted, text };
    int64_t us;
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        const json_t *value = json_object_get(r->json, keys[i]);
        *out[i] = NULL;
        if (value && !json_is_null(value) && !(*out[i] = sl_body_text(r, keys[i], 1, 2000)))
            return false;
    }
    if (*muted && !sl_time_parse(*muted, &us)) {
        sl_problem_field(r, "/muted_until", "is no time such as 2026-11-22T13:45:00Z");
        return false;
    }
    const char *bad = *text ? sl_alerts_bad_word(*text, &n) : NULL;
    if (bad)
        sl_problem_field(r, "/template",
                         sl_arena_printf(&r->arena,
                                         "has {%.*s}; there are {task}, {id}, {state}, {reason}, "
                                         "{rule}, {kind}, {value}, {threshold}, {since}, {event}",
                                         (int)(n < 40 ? n : 40), bad));
    return !bad;
}

/* The body as a whole rule; a new reference or NULL when answered. */
static json_t *take_rule(sl_request *r)
{
    static const char *const keys[] = { "name",  "kind",        "threshold",   "for_seconds",
                                        "tasks", "contacts",    "on_recovery", "repeat_minutes",
                                        "id",    "muted_until", "template",    NULL };
    const char *name = sl_body_text(r, "name", 1, 200), *muted, *text;
    const char *kind = name ? sl_body_text(r, "kind", 1, 40) : NULL;
    json_t *recovery = json_object_get(r->json, "on_recovery"), *threshold = NULL;
    json_t *tasks = json_object_get(r->json, "tasks");
    json_t *contacts = json_object_get(r->json, "contacts");
    int64_t seconds = 0, repeat = 0;
    if (!kind || !sl_body_only(r, keys))
        return NULL;
    if (!sl_alerts_is_kind(kind)) {
        sl_problem_field(r, "/kind",
                         "is none of failed, lag, retrying, wal_held, slot_in_danger, "
                         "subscription_ends");
        return NULL;
    }
    if (recovery && !json_is_boolean(recovery)) {
        sl_problem_field(r, "/on_recovery", "is neither true nor false");
        return NULL;
    }
    if (!take_number(r, "for_seconds", 0, 2592000, &seconds) ||
        !take_number(r, "repeat_minutes", 1, 525600, &repeat) || !take_tasks(r, tasks) ||
        !take_contacts(r, contacts) || !take_mute_and_text(r, &muted, &text) ||
        !take_threshold(r, kind, &threshold))
        return NULL;
    return json_pack("{s:s, s:s, s:o, s:I, s:O, s:O, s:b, s:o, s:s?, s:s?}", "name", name, "kind",
                     kind, "threshold", threshold, "for_seconds", (json_int_t)seconds, "tasks",
                     tasks ? tasks : json_null(), "contacts", contacts, "on_recovery",
                     recovery ? json_is_true(recovery) : 1, "repeat_minutes",
                     repeat ? json_integer(repeat) : json_null(), "muted_until", muted, "template",
                     text);
}

static void store_rule(sl_request *r, const char *id, json_t *rule, int status)
{
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_rule_store(r->s->catalog, id, rule, &err);
    json_object_set_new(rule, "id", json_string(id));
    if (rc == SL_OK) {
        sl_alerts_changed(r->s);
        sl_reply(r, status, json_incref(rule));
    } else {
        sl_problem_error(r, &err, rc, "invalid");
    }
    json_decref(rule);
}

static void list_rules(sl_request *r)
{
    json_t *rules = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_rule_list(r->s->catalog, &rules, &err);
    reply_or_problem(r, rc, rules, &err, "invalid");
}

static void create_rule(sl_request *r)
{
    char id[SL_ID_SIZE];
    json_t *rule = take_rule(r);
    if (!rule)
        return;
    r->params[0] = sl_arena_strdup(&r->arena, sl_catalog_new_id(id));
    store_rule(r, id, rule, 201);
}

static void put_rule(sl_request *r)
{
    json_t *before = NULL;
    sl_error err = SL_ERROR_INIT;
    json_t *rule = take_rule(r);
    if (!rule)
        return;
    sl_rc rc = sl_rule_get(r->s->catalog, r->params[0], &before, &err);
    json_decref(before);
    if (rc == SL_OK) {
        store_rule(r, r->params[0], rule, 200);
    } else {
        json_decref(rule);
        sl_problem_error(r, &err, rc, "invalid");
    }
}

static void delete_rule(sl_request *r)
{
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_rule_delete(r->s->catalog, r->params[0], &err);
    sl_alerts_changed(r->s);
    if (rc == SL_OK)
        sl_reply_nothing(r);
    else
        sl_problem_error(r, &err, rc, "invalid");
}

static void list_alerts(sl_request *r)
{
    SL_SERVICE_LOCKED(r->s);
    sl_reply(r, 200, json_pack("{s:o}", "items", sl_alerts_show(r->s)));
}

/* ---- contacts ---- */

/* Which members each kind takes; those marked * are secrets, those with ! are needed. */
static const char *const contact_kinds[][2] = {
    { "webhook", " !*url *secret ca_cert " },
    { "slack", " !*url ca_cert " },
    { "dingtalk", " !*url *secret ca_cert " },
    { "smtp", " !host port tls user *password !from !to ca_cert " },
    { "command", " !command " },
};

static const char *members_of(const char *kind)
{
    for (size_t i = 0; i < sizeof(contact_kinds) / sizeof(contact_kinds[0]); i++)
        if (strcmp(contact_kinds[i][0], kind) == 0)
            return contact_kinds[i][1];
    return NULL;
}

/* Is there " key ", " *key ", " !key " or " !*key "? Its marks, or NULL. */
static const char *marks_of(const char *members, const char *key)
{
    size_t n = strlen(key);
    for (const char *p = members; n > 0 && (p = strstr(p, key)); p += n) {
        const char *marks = p;
        while (marks[-1] == '*' || marks[-1] == '!')
            marks--;
        if (marks[-1] == ' ' && p[n] == ' ')
            return marks;
    }
    return NULL;
}

static bool is_mail_address(const char *text)
{
    size_t n = strlen(text), local = strcspn(text, "@");
    return local > 0 && local + 1 < n && !strchr(text + local + 1, '@') && n <= 254 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&'*+/="
                        "?^_`{|}~-@:[]") == n;
}

static bool is_of(const char *text, const char *more)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') ||
              (text[i] >= '0' && text[i] <= '9') || strchr(more, text[i])))
            return false;
    return n > 0;
}

static bool is_url(const char *text)
{
    const char *host = strstr(text, "://");
    bool known = strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
    if (!known || !host || !is_of(text, "-._~:/?#[]@!$&'()*+,;=%"))
        return false;
    return strcspn(host + 3, "/?#") > 0;
}

/* NULL, or what is wrong with the value. */
static const char *judge(const char *key, const json_t *value)
{
    size_t i;
    json_t *to;
    const char *text = json_string_value(value);
    if (strcmp(key, "port") == 0)
        return json_is_integer(value) && json_integer_value(value) > 0 &&
                       json_integer_value(value) < 65536
                   ? NULL
                   : "is no number from 1 to 65535";
    if (strcmp(key, "to") == 0) {
        bool good = json_array_size(value) > 0 && json_array_size(value) <= 50;
        json_array_foreach(value, i, to) good &=
            json_is_string(to) && is_mail_address(json_string_value(to));
        return good ? NULL : "is no list of 1 to 50 mail addresses";
    }
    if (!text || !text[0] || strlen(text) > (strcmp(key, "ca_cert") == 0 ? 65536 : 2000))
        return "is no text, or empty, or too long";
    if (strcmp(key, "url") == 0)
        return is_url(text) ? NULL : "is no http:// or https:// address";
    if (strcmp(key, "host") == 0)
        return is_of(text, ".-:") ? NULL : "is neither a host's name nor an address";
    if (strcmp(key, "from") == 0)
        return is_mail_address(text) ? NULL : "is no mail address";
    if (strcmp(key, "tls") == 0)
        return strcmp(text, "none") && strcmp(text, "starttls") && strcmp(text, "tls")
                   ? "is none of none, starttls, tls"
                   : NULL;
    if (strcmp(key, "command") == 0)
        return is_of(text, "-_.") && text[0] != '.'
                   ? NULL
                   : "is not the name of a program in the directory of alert commands";
    return NULL;
}

static json_t *default_port(const char *tls)
{
    return json_integer(strcmp(tls, "tls") == 0 ? 465 : strcmp(tls, "starttls") == 0 ? 587 : 25);
}

static bool finish_smtp(sl_request *r, json_t *settings, const json_t *secrets)
{
    if (!json_object_get(settings, "tls"))
        json_object_set_new(settings, "tls", json_string("starttls"));
    const char *tls = json_string_value(json_object_get(settings, "tls"));
    if (!json_object_get(settings, "port"))
        json_object_set_new(settings, "port", default_port(tls));
    bool password = json_object_get(secrets, "password") != NULL;
    if (password && strcmp(tls, "none") == 0) {
        sl_problem_field(r, "/tls", "is none: the password would cross the network in clear");
        return false;
    }
    if (password != (json_object_get(settings, "user") != NULL)) {
        sl_problem_field(r, password ? "/user" : "/password",
                         "is missing: user and password are given together");
        return false;
    }
    return true;
}

/* Where it goes, for people, without what is secret in a webhook's address. */
static json_t *target_of(const char *kind, const json_t *settings, const json_t *secrets)
{
    const char *url = json_string_value(json_object_get(secrets, "url"));
    if (strcmp(kind, "command") == 0)
        return json_incref(json_object_get(settings, "command"));
    if (!url) {
        json_t *to = json_object_get(settings, "to");
        return json_sprintf("%s%s via %s", json_string_value(json_array_get(to, 0)),
                            json_array_size(to) > 1 ? ", …" : "",
                            json_string_value(json_object_get(settings, "host")));
    }
    const char *host = strstr(url, "://") + 3;
    const char *end = host + strcspn(host, "/?#"),
               *at_sign = memchr(host, '@', (size_t)(end - host));
    return json_sprintf("%.*s%.*s%s", (int)(host - url), url,
                        (int)(end - (at_sign ? at_sign + 1 : host)), at_sign ? at_sign + 1 : host,
                        *end ? "/…" : "");
}

/* Sorts the body's members into settings and secrets, which holds those kept. False when answered.
 */
static bool take_members(sl_request *r, const char *members, json_t *settings, json_t *secrets)
{
    const char *key;
    json_t *value;
    json_object_foreach(r->json, key, value)
    {
        const char *path = sl_arena_printf(&r->arena, "/%s", key), *marks, *wrong;
        if (strcmp(key, "name") == 0 || strcmp(key, "kind") == 0)
            continue;
        if (!(marks = marks_of(members, key))) {
            sl_problem_field(r, path, "is not a key of a contact of this kind");
            return false;
        }
        json_t *into =
            strncmp(marks, "*", 1) == 0 || strncmp(marks, "!*", 2) == 0 ? secrets : settings;
        if (json_is_null(value)) {
            json_object_del(into, key);
        } else if ((wrong = judge(key, value))) {
            sl_problem_field(r, path, wrong);
            return false;
        } else {
            json_object_set(into, key, value);
        }
    }
    for (const char *p = members; (p = strchr(p, '!')); p++) {
        const char *name = p + 1 + (p[1] == '*');
        const char *needed = sl_arena_strndup(&r->arena, name, strcspn(name, " "));
        if (!json_object_get(settings, needed) && !json_object_get(secrets, needed)) {
            sl_problem_field(r, sl_arena_printf(&r->arena, "/%s", needed),
                             "is needed for this kind");
            return false;
        }
    }
    return true;
}

static void reply_contact(sl_request *r, int status, const char *id)
{
    json_t *contact = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_contact_get(r->s->catalog, id, &r->arena, &contact, NULL, &err);
    if (rc == SL_OK)
        sl_reply(r, status, contact);
    else
        sl_problem_error(r, &err, rc, "invalid");
}

/* secrets: those kept; borrowed, changed. */
static void store_contact(sl_request *r, const char *id, json_t *secrets, int status)
{
    sl_error err = SL_ERROR_INIT;
    const char *name = sl_body_text(r, "name", 1, 200);
    const char *kind = name ? sl_body_text(r, "kind", 1, 20) : NULL;
    const char *members = kind ? members_of(kind) : NULL;
    json_t *settings = json_object();
    if (kind && !members)
        sl_problem_field(r, "/kind", "is none of webhook, slack, dingtalk, smtp, command");
    if (members && strcmp(kind, "command") == 0 && r->who.role < SL_ROLE_ADMIN)
        sl_problem(r, "forbidden", NULL, "a contact that runs a program needs the role admin");
    else if (members && take_members(r, members, settings, secrets) &&
             (strcmp(kind, "smtp") != 0 || finish_smtp(r, settings, secrets))) {
        char *text = json_dumps(secrets, JSON_COMPACT);
        const char *sealed = json_object_size(secrets) > 0
                                 ? sl_secret_seal(r->s->catalog, "contact", text, &r->arena)
                                 : NULL;
        sl_specs_wipe(text);
        json_object_set_new(settings, "target", target_of(kind, settings, secrets));
        sl_rc rc = sl_contact_store(r->s->catalog, id, name, kind, settings, sealed, &err);
        if (rc == SL_OK)
            reply_contact(r, status, id);
        else
            sl_problem_error(r, &err, rc, "conflict");
    }
    json_decref(settings);
}

static void create_contact(sl_request *r)
{
    char id[SL_ID_SIZE];
    json_t *secrets = json_object();
    r->params[0] = sl_arena_strdup(&r->arena, sl_catalog_new_id(id));
    store_contact(r, r->params[0], secrets, 201);
    json_decref(secrets);
}

/* May secrets that are not given again be kept? Not where they would go elsewhere then. */
static bool may_keep(sl_request *r, const json_t *before)
{
    static const char *const same[] = { "kind", "host", "port", "tls", "user" };
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        const json_t *old = json_object_get(before, same[i]);
        const json_t *new = json_object_get(r->json, same[i]);
        bool standard = !new && (i == 2 || i == 3); /* port and tls have a standard */
        if (!standard && (old && new ? !json_equal(old, new) : old != new))
            return false;
    }
    return true;
}

/* The contact in the path: *secrets (a new reference), *before. False when answered. */
static bool read_contact(sl_request *r, json_t **before, json_t **secrets)
{
    char *sealed = NULL, *text = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_contact_get(r->s->catalog, r->params[0], &r->arena, before, &sealed, &err);
    if (rc == SL_OK && sealed)
        rc = sl_secret_open(r->s->catalog, "contact", sealed, &r->arena, &text, &err);
    if (rc == SL_OK) {
        *secrets = text ? json_loads(text, 0, NULL) : NULL;
        *secrets = *secrets ? *secrets : json_object();
    } else {
        sl_problem_error(r, &err, rc, "invalid");
    }
    if (text)
        explicit_bzero(text, strlen(text));
    if (rc == SL_OK) /* the path may have its name */
        r->params[0] =
            sl_arena_strdup(&r->arena, json_string_value(json_object_get(*before, "id")));
    const char *kind = json_string_value(json_object_get(*before, "kind"));
    if (rc == SL_OK && strcmp(kind, "command") == 0 && r->who.role < SL_ROLE_ADMIN &&
        strcmp(r->route->method, "POST") != 0) {
        sl_problem(r, "forbidden", NULL, "a contact that runs a program needs the role admin");
        return false;
    }
    return rc == SL_OK;
}

static void put_contact(sl_request *r)
{
    json_t *before = NULL, *secrets = NULL;
    if (read_contact(r, &before, &secrets)) {
        if (!may_keep(r, before))
            json_object_clear(secrets);
        store_contact(r, r->params[0], secrets, 200);
    }
    json_decref(before);
    json_decref(secrets);
}

static void delete_contact(sl_request *r)
{
    json_t *before = NULL, *secrets = NULL;
    sl_error err = SL_ERROR_INIT;
    if (read_contact(r, &before, &secrets)) {
        sl_rc rc = sl_contact_delete(r->s->catalog, r->params[0], &err);
        if (rc == SL_OK)
            sl_reply_nothing(r);
        else
            sl_problem_error(r, &err, rc, "conflict");
    }
    json_decref(before);
    json_decref(secrets);
}

static void list_contacts(sl_request *r)
{
    json_t *contacts = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_contact_list(r->s->catalog, &contacts, &err);
    reply_or_problem(r, rc, contacts, &err, "invalid");
}

/* ---- deliveries ---- */

static void send_and_reply(sl_request *r, int64_t id)
{
    json_t *delivery = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_deliver_now(r->s, id, &err);
    if (rc == SL_OK)
        rc = sl_delivery_get(r->s->catalog, id, &delivery, &err);
    reply_or_problem(r, rc, delivery, &err, "invalid");
}

static void test_contact(sl_request *r)
{
    char now[32];
    int64_t id = 0;
    json_t *before = NULL, *secrets = NULL;
    sl_error err = SL_ERROR_INIT;
    if (!read_contact(r, &before, &secrets))
        return;
    const char *name = json_string_value(json_object_get(before, "name"));
    json_t *message =
        json_pack("{s:s, s:s, s:n, s:n, s:s, s:o}", "event", "test", "time",
                  sl_time_text(sl_now_us(), now), "rule", "task", "subject", "[pgsluice] test",
                  "text",
                  json_sprintf("This is a test of the contact %s, sent by %s.", name, r->who.user));
    /* Due later than now, so that no other thread sends it too. */
    sl_rc rc = sl_delivery_create(r->s->catalog, r->params[0], name, NULL, NULL, "test", message,
                                  sl_now_us() + INT64_C(120000000), &id, &err);
    json_decref(message);
    if (rc == SL_OK)
        send_and_reply(r, id);
    else
        sl_problem_error(r, &err, rc, "invalid");
    json_decref(before);
    json_decref(secrets);
}

static void retry_delivery(sl_request *r)
{
    char *end;
    long long id = strtoll(r->params[0], &end, 10);
    if (*end || id < 1)
        sl_problem(r, "not_found", NULL, "there is no such delivery");
    else
        send_and_reply(r, id);
}

static void list_deliveries(sl_request *r)
{
    sl_page page;
    json_t *found = NULL;
    sl_error err = SL_ERROR_INIT;
    if (!sl_request_page(r, &page))
        return;
    sl_rc rc = sl_delivery_list(r->s->catalog, sl_query(r, "task"), sl_query(r, "contact"), &page,
                                &found, &err);
    reply_or_problem(r, rc, found, &err, "bad_request");
}

/* ---- a task's own ---- */

/* A new version of the specification, also while the task runs: its worker knows nothing of it. */
static void change_task_alerts(sl_request *r)
{
    static const char *const keys[] = { "on_failure", "lag_seconds", "contacts", NULL };
    sl_task_row row;
    sl_error err = SL_ERROR_INIT;
    if (!sl_body_only(r, keys))
        return;
    sl_rc rc = sl_task_read(r->s->catalog, r->params[0], &r->arena, &row, &err);
    if (rc == SL_OK)
        rc = sl_alerts_check_own(r->s, r->json, &err);
    if (rc == SL_OK) {
        json_object_set(row.spec, "alerts", r->json);
        if (json_is_null(json_object_get(r->json, "lag_seconds")))
            json_object_del(r->json, "lag_seconds");
        rc = sl_task_replace_spec(r->s->catalog, row.id, row.spec_version, row.name, row.spec,
                                  row.passwords, r->who.user, &err);
        sl_alerts_changed(r->s);
    }
    sl_task_row_free(&row);
    if (rc == SL_OK)
        sl_reply(r, 200, json_incref(r->json));
    else
        sl_problem_error(r, &err, rc, "invalid");
}

#define A "/api/v1/alerts"
const sl_route_row sl_routes_alerts[] = {
    { "GET", A, SL_ROLE_VIEWER, 0, list_alerts, "list_alerts" },
    { "GET", A "/rules", SL_ROLE_VIEWER, 0, list_rules, "list_alert_rules" },
    { "POST", A "/rules", SL_ROLE_OPERATOR, SL_ROUTE_BODY, create_rule, "create_alert_rule" },
    { "PUT", A "/rules/*", SL_ROLE_OPERATOR, SL_ROUTE_BODY, put_rule, "put_alert_rule" },
    { "DELETE", A "/rules/*", SL_ROLE_OPERATOR, 0, delete_rule, "delete_alert_rule" },
    { "GET", A "/contacts", SL_ROLE_VIEWER, 0, list_contacts, "list_contacts" },
    { "POST", A "/contacts", SL_ROLE_OPERATOR, SL_ROUTE_BODY, create_contact, "create_contact" },
    { "PUT", A "/contacts/*", SL_ROLE_OPERATOR, SL_ROUTE_BODY, put_contact, "put_contact" },
    { "DELETE", A "/contacts/*", SL_ROLE_OPERATOR, 0, delete_contact, "delete_contact" },
    { "POST", A "/contacts/*/test", SL_ROLE_OPERATOR, 0, test_contact, "test_contact" },
    { "GET", A "/deliveries", SL_ROLE_VIEWER, 0, list_deliveries, "list_deliveries" },
    { "POST", A "/deliveries/*/retry", SL_ROLE_OPERATOR, 0, retry_delivery, "retry_delivery" },
    { "PUT", "/api/v1/tasks/*/alerts", SL_ROLE_OPERATOR, SL_ROUTE_BODY, change_task_alerts,
      "change_task_alerts" },
    { NULL },
};
