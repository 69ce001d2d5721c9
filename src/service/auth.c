/* auth.c: who asks: session cookies with a token against cross-site requests, bearer tokens, roles;
 * login with a limit on failures. */
#include <stdlib.h>
#include <string.h>
#include <sodium.h>

#include "core/log.h"
#include "service/http.h"

#define COOKIE "pgsluice_session"
#define HOUR_US INT64_C(3600000000)
#define WINDOW_US INT64_C(900000000)
#define MOST_FAILURES 5          /* of one account from one address */
#define MOST_ADDRESS_FAILURES 50 /* from one address */
#define N_ENTRIES 4096

/* ---- failures ---- */

struct sl_throttle {
    pthread_mutex_t lock;
    struct {
        uint64_t key; /* 0: free */
        int failures;
        int64_t since_us;
    } entries[N_ENTRIES];
};

struct sl_throttle *sl_throttle_new(void)
{
    struct sl_throttle *t = sl_xcalloc(1, sizeof(*t));
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void sl_throttle_free(struct sl_throttle *t)
{
    if (t)
        pthread_mutex_destroy(&t->lock);
    free(t);
}

static uint64_t throttle_key(const char *account, const char *address)
{
    uint64_t key = sl_hash64(account, strlen(account), sl_hash64(address, strlen(address), 7));
    return key ? key : 1;
}

/* Seconds until another attempt is allowed, 0: now. With failed, counts one. When the table is full
 * the oldest entry makes room. */
static int64_t throttle(struct sl_throttle *t, uint64_t key, int most, bool failed)
{
    int64_t now = sl_now_us(), wait = 0;
    size_t slot = N_ENTRIES, oldest = 0;
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < N_ENTRIES && slot == N_ENTRIES; i++) {
        if (now - t->entries[i].since_us > WINDOW_US)
            t->entries[i].key = 0;
        if (t->entries[i].key == key)
            slot = i;
        else if (t->entries[i].key == 0 || (t->entries[oldest].key != 0 &&
                                            t->entries[i].since_us < t->entries[oldest].since_us))
            oldest = i;
    }
    if (slot < N_ENTRIES && t->entries[slot].failures >= most)
        wait = (t->entries[slot].since_us + WINDOW_US - now) / 1000000 + 1;
    if (failed && slot == N_ENTRIES) {
        slot = oldest;
        t->entries[slot].key = key;
        t->entries[slot].failures = 0;
        t->entries[slot].since_us = now;
    }
    if (failed)
        t->entries[slot].failures++;
    pthread_mutex_unlock(&t->lock);
    return wait;
}

static bool may_try(sl_request *r, const char *account)
{
    struct sl_throttle *t = r->s->throttle;
    int64_t a = throttle(t, throttle_key(account, r->address), MOST_FAILURES, false);
    int64_t b = throttle(t, throttle_key("", r->address), MOST_ADDRESS_FAILURES, false);
    int64_t wait = a > b ? a : b;
    if (wait == 0)
        return true;
    sl_reply_header(r, "Retry-After", sl_arena_printf(&r->arena, "%lld", (long long)wait));
    sl_problem(r, "too_many_requests", NULL, "too many failures; try again in %lld s",
               (long long)wait);
    return false;
}

static void count_failure(sl_request *r, const char *account)
{
    throttle(r->s->throttle, throttle_key(account, r->address), MOST_FAILURES, true);
    throttle(r->s->throttle, throttle_key("", r->address), MOST_ADDRESS_FAILURES, true);
}

/* ---- each request ---- */

static bool by_token(sl_request *r, const char *given)
{
    sl_error err = SL_ERROR_INIT;
    if (strlen(given) >= SL_TOKEN_SIZE)
        return false;
    /* No limit on failures: nobody guesses 256 bits, and a limit would lock out others. */
    sl_rc rc = sl_token_find(r->s->catalog, given, &r->who, &err);
    if (rc != SL_OK && rc != SL_NOT_FOUND)
        sl_problem_error(r, &err, rc, "invalid");
    return rc == SL_OK;
}

static bool by_cookie(sl_request *r)
{
    const char *cookie = MHD_lookup_connection_value(r->connection, MHD_COOKIE_KIND, COOKIE);
    sl_error err = SL_ERROR_INIT;
    if (!cookie || strlen(cookie) >= SL_TOKEN_SIZE)
        return false;
    sl_rc rc = sl_session_find(r->s->catalog, cookie, &r->who, &err);
    if (rc == SL_OK)
        memcpy(r->session, cookie, strlen(cookie) + 1);
    else if (rc != SL_NOT_FOUND)
        sl_problem_error(r, &err, rc, "invalid");
    return rc == SL_OK;
}

static bool csrf_is_right(sl_request *r)
{
    char expected[SL_TOKEN_SIZE];
    const char *given = sl_header(r, "X-CSRF-Token");
    sl_session_csrf(r->s->catalog, r->session, expected);
    return given && strlen(given) == strlen(expected) &&
           sodium_memcmp(given, expected, strlen(expected)) == 0;
}

bool sl_auth_check(sl_request *r)
{
    const char *given = sl_header(r, "Authorization");
    if (r->route->role == SL_ROLE_NONE)
        return true;
    bool known = given && strncmp(given, "Bearer ", 7) == 0 ? by_token(r, given + 7) : by_cookie(r);
    if (r->answered)
        return false;
    if (!known) {
        sl_problem(r, "unauthenticated",
                   "Log in with POST /api/v1/session, or send Authorization: Bearer with a token "
                   "that `pgsluice token create` made.",
                   "nobody valid is logged in, or the token is unknown, expired or withdrawn");
        return false;
    }
    if (r->who.role < r->route->role) {
        sl_problem(r, "forbidden", "Ask an admin for the role.", "this needs the role %s",
                   sl_role_name(r->route->role));
        return false;
    }
    if (r->session[0] && strcmp(r->route->method, "GET") != 0 && !csrf_is_right(r)) {
        sl_problem(r, "csrf", "Send the csrf_token of GET /api/v1/session.",
                   "a request with the session's cookie needs it");
        return false;
    }
    return true;
}

/* ---- login ---- */

static json_t *session_json(sl_request *r)
{
    char csrf[SL_TOKEN_SIZE], time[32];
    bool cookie = r->session[0] != '\0';
    if (cookie)
        sl_session_csrf(r->s->catalog, r->session, csrf);
    return json_pack("{s:s, s:s, s:s?, s:s?}", "user", r->who.user, "role",
                     sl_role_name(r->who.role), "csrf_token", cookie ? csrf : NULL, "expires_at",
                     r->who.expires_us ? sl_time_text(r->who.expires_us, time) : NULL);
}

static void set_cookie(sl_request *r, const char *value, int64_t seconds)
{
    sl_reply_header(r, "Set-Cookie",
                    sl_arena_printf(&r->arena,
                                    COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict; "
                                           "Max-Age=%lld%s",
                                    value, (long long)seconds,
                                    r->s->options.tls_cert || r->s->options.behind_proxy
                                        ? "; Secure"
                                        : ""));
}

static void login(sl_request *r)
{
    sl_error err = SL_ERROR_INIT;
    const char *user = sl_body_text(r, "user", 1, 64);
    const char *password = user ? sl_body_text(r, "password", 1, 200) : NULL;
    static const char *const keys[] = { "user", "password", NULL };
    if (!password || !sl_body_only(r, keys) || !may_try(r, user))
        return;
    sl_rc rc = sl_user_verify(r->s->catalog, user, password, &r->who, &err);
    if (rc == SL_NOT_FOUND) {
        count_failure(r, user);
        sl_audit_store(r->s->catalog, user, r->address, "login_failed", NULL, NULL, &err);
        sl_problem(r, "login_failed", NULL, "user or password is wrong, or the user is disabled");
        return;
    }
    int64_t lasts_us =
        sl_setting_number(r->s->catalog, "session_hours", SL_SESSION_HOURS) * HOUR_US;
    r->who.expires_us = sl_now_us() + lasts_us;
    if (rc == SL_OK)
        rc = sl_session_create(r->s->catalog, user, r->who.expires_us, r->session, &err);
    if (rc != SL_OK) {
        sl_problem_error(r, &err, rc, "invalid");
        return;
    }
    set_cookie(r, r->session, (int)(lasts_us / 1000000));
    sl_reply(r, 200, session_json(r));
}

static void get_session(sl_request *r)
{
    sl_reply(r, 200, session_json(r));
}

static void logout(sl_request *r)
{
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = r->session[0] ? sl_session_delete(r->s->catalog, r->session, &err) : SL_OK;
    if (rc != SL_OK) {
        sl_problem_error(r, &err, rc, "invalid");
        return;
    }
    set_cookie(r, "", 0);
    sl_reply_nothing(r);
}

static void change_own_password(sl_request *r)
{
    static const char *const keys[] = { "old_password", "new_password", NULL };
    sl_error err = SL_ERROR_INIT;
    sl_who who;
    const char *old = sl_body_text(r, "old_password", 1, 200);
    const char *new = old ? sl_body_text(r, "new_password", 10, 200) : NULL;
    if (!new || !sl_body_only(r, keys) || !may_try(r, r->who.user))
        return;
    sl_rc rc = sl_user_verify(r->s->catalog, r->who.user, old, &who, &err);
    if (rc == SL_NOT_FOUND) {
        count_failure(r, r->who.user);
        sl_problem(r, "login_failed", NULL, "old_password is wrong");
        return;
    }
    if (rc == SL_OK)
        rc = sl_user_change(r->s->catalog, r->who.user, NULL, new, -1, &err);
    if (rc != SL_OK)
        sl_problem_error(r, &err, rc, "invalid");
    else
        sl_reply_nothing(r);
}

/* ---- users ---- */

static bool is_user_name(const char *name)
{
    size_t n = strlen(name);
    return n >= 1 && n <= 64 &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@-") == n;
}

static void reply_rows(sl_request *r, int status, sl_rc rc, json_t *json, const sl_error *err,
                       const char *usage)
{
    if (rc == SL_OK)
        sl_reply(r, status, json);
    else
        sl_problem_error(r, err, rc, usage);
}

static void list_users(sl_request *r)
{
    json_t *users = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_user_list(r->s->catalog, &users, &err);
    reply_rows(r, 200, rc, users, &err, "invalid");
}

static void reply_user(sl_request *r, int status, const char *name, sl_rc rc, sl_error *err)
{
    json_t *user = NULL;
    if (rc == SL_OK)
        rc = sl_user_get(r->s->catalog, name, &user, err);
    reply_rows(r, status, rc, user, err, "conflict");
}

static void create_user(sl_request *r)
{
    static const char *const keys[] = { "name", "role", "password", NULL };
    sl_error err = SL_ERROR_INIT;
    const char *name = sl_body_text(r, "name", 1, 64);
    const char *role = name ? sl_body_text(r, "role", 1, 20) : NULL;
    const char *password = role ? sl_body_text(r, "password", 10, 200) : NULL;
    if (!password || !sl_body_only(r, keys))
        return;
    if (!is_user_name(name))
        sl_problem_field(r, "/name", "takes letters, digits and . _ @ -");
    else if (sl_role_parse(role) == SL_ROLE_NONE)
        sl_problem_field(r, "/role", "is none of viewer, operator, admin");
    else
        reply_user(r, 201, name,
                   sl_user_create(r->s->catalog, name, password, sl_role_parse(role), &err), &err);
}

static void change_user(sl_request *r)
{
    static const char *const keys[] = { "role", "password", "disabled", NULL };
    sl_error err = SL_ERROR_INIT;
    const json_t *disabled = json_object_get(r->json, "disabled");
    const char *role = sl_body_text(r, "role", 0, 20);
    const char *password =
        json_object_get(r->json, "password") ? sl_body_text(r, "password", 10, 200) : NULL;
    if (r->answered || !sl_body_only(r, keys))
        return;
    if (role && sl_role_parse(role) == SL_ROLE_NONE)
        sl_problem_field(r, "/role", "is none of viewer, operator, admin");
    else if (disabled && !json_is_boolean(disabled))
        sl_problem_field(r, "/disabled", "is neither true nor false");
    else if (json_object_size(r->json) == 0)
        sl_problem(r, "invalid", NULL, "nothing is to be changed");
    else
        reply_user(r, 200, r->params[0],
                   sl_user_change(r->s->catalog, r->params[0], role, password,
                                  disabled ? json_is_true(disabled) : -1, &err),
                   &err);
}

static void reply_deleted(sl_request *r, sl_rc rc, const sl_error *err)
{
    if (rc == SL_OK)
        sl_reply_nothing(r);
    else
        sl_problem_error(r, err, rc, "conflict");
}

static void delete_user(sl_request *r)
{
    sl_error err = SL_ERROR_INIT;
    reply_deleted(r, sl_user_delete(r->s->catalog, r->params[0], &err), &err);
}

/* ---- tokens and the audit ---- */

static void list_tokens(sl_request *r)
{
    json_t *tokens = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_token_list(r->s->catalog, r->who.role == SL_ROLE_ADMIN ? NULL : r->who.user,
                             &tokens, &err);
    reply_rows(r, 200, rc, tokens, &err, "invalid");
}

static void create_token(sl_request *r)
{
    static const char *const keys[] = { "name", "role", "days", NULL };
    sl_error err = SL_ERROR_INIT;
    char secret[SL_TOKEN_SIZE];
    json_t *token = NULL;
    const json_t *days = json_object_get(r->json, "days");
    const char *name = sl_body_text(r, "name", 1, 100);
    const char *given = r->answered ? NULL : sl_body_text(r, "role", 0, 20);
    if (r->answered || !sl_body_only(r, keys))
        return;
    sl_role role = given ? sl_role_parse(given) : r->who.role;
    int64_t n = json_integer_value(days);
    if (role == SL_ROLE_NONE || role > r->who.role) {
        sl_problem_field(r, "/role", "is unknown, or more than your own");
    } else if (days && !json_is_null(days) && (n < 1 || n > 3650)) {
        sl_problem_field(r, "/days", "is not a number from 1 to 3650");
    } else {
        sl_rc rc =
            sl_token_create(r->s->catalog, r->who.user, name, role,
                            n ? sl_now_us() + n * INT64_C(86400000000) : 0, secret, &token, &err);
        if (rc == SL_OK)
            json_object_set_new(token, "token", json_string(secret));
        reply_rows(r, 201, rc, token, &err, "invalid");
        sodium_memzero(secret, sizeof(secret));
    }
}

static void delete_token(sl_request *r)
{
    sl_error err = SL_ERROR_INIT;
    const char *user = r->who.role == SL_ROLE_ADMIN ? NULL : r->who.user;
    reply_deleted(r, sl_token_delete(r->s->catalog, r->params[0], user, &err), &err);
}

static void read_audit(sl_request *r)
{
    sl_page page;
    json_t *entries = NULL;
    sl_error err = SL_ERROR_INIT;
    if (!sl_request_page(r, &page))
        return;
    sl_rc rc = sl_audit_list(r->s->catalog, sl_query(r, "actor"), sl_query(r, "object"), &page,
                             &entries, &err);
    reply_rows(r, 200, rc, entries, &err, "bad_request");
}

#define V1 "/api/v1"
const sl_route_row sl_routes_access[] = {
    { "POST", V1 "/session", SL_ROLE_NONE, SL_ROUTE_BODY, login, "login" },
    { "GET", V1 "/session", SL_ROLE_VIEWER, 0, get_session, "get_session" },
    { "DELETE", V1 "/session", SL_ROLE_VIEWER, 0, logout, "logout" },
    { "PUT", V1 "/session/password", SL_ROLE_VIEWER, SL_ROUTE_BODY, change_own_password,
      "change_own_password" },
    { "GET", V1 "/users", SL_ROLE_ADMIN, 0, list_users, "list_users" },
    { "POST", V1 "/users", SL_ROLE_ADMIN, SL_ROUTE_BODY, create_user, "create_user" },
    { "PATCH", V1 "/users/*", SL_ROLE_ADMIN, SL_ROUTE_BODY, change_user, "change_user" },
    { "DELETE", V1 "/users/*", SL_ROLE_ADMIN, 0, delete_user, "delete_user" },
    { "GET", V1 "/tokens", SL_ROLE_VIEWER, 0, list_tokens, "list_tokens" },
    { "POST", V1 "/tokens", SL_ROLE_VIEWER, SL_ROUTE_BODY, create_token, "create_token" },
    { "DELETE", V1 "/tokens/*", SL_ROLE_VIEWER, 0, delete_token, "delete_token" },
    { "GET", V1 "/audit", SL_ROLE_ADMIN, 0, read_audit, "audit" },
    { NULL },
};
