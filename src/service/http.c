/* http.c: the HTTP server: a thread per connection, one table of routes, limits.
 *
 * A request is judged before its body is read: route, access, size. Bodies of unknown callers are
 * at most 16 KiB, others 1 MiB. There are at most 512 connections, each with 32 KiB for its
 * headers; one that says nothing for 30 s is closed. */
#include "service/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "service/console.h"

#define MOST_CONNECTIONS 512
#define MOST_BODY ((size_t)1 << 20)
#define MOST_UNKNOWN_BODY ((size_t)16 << 10)
#define MOST_PATH 1000

struct sl_http {
    struct MHD_Daemon *daemon;
    char *cert, *key;
};

static const sl_route_row *const tables[] = {
    sl_routes_service,  sl_routes_access,      sl_routes_tasks,  sl_routes_specs,
    sl_routes_progress, sl_routes_connections, sl_routes_alerts, sl_routes_views,
    sl_routes_settings, sl_routes_objects,     sl_routes_usage
};
#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

/* ---- routes ---- */

/* Does path fit the pattern? Fills params. Fixed words count more than *: exact is their number. */
static bool fits(const char *pattern, const char *path, sl_arena *arena, const char *params[2],
                 int *exact)
{
    int n = 0;
    *exact = 0;
    while (*pattern && *path) {
        size_t a = strcspn(pattern + 1, "/"), b = strcspn(path + 1, "/");
        bool any = a == 1 && pattern[1] == '*';
        if (*path != '/' || b == 0 || (!any && (a != b || strncmp(pattern, path, a + 1) != 0)))
            return false;
        if (any && n < 2)
            params[n++] = sl_arena_strndup(arena, path + 1, b);
        *exact += !any;
        pattern += a + 1;
        path += b + 1;
    }
    return !*pattern && !*path;
}

static const sl_route_row *find_route(sl_request *r, const char *method, const char *path,
                                      bool *other_method)
{
    const sl_route_row *found = NULL;
    int best = -1, exact;
    *other_method = false;
    for (size_t t = 0; t < N_TABLES; t++)
        for (const sl_route_row *row = tables[t]; row->path; row++) {
            const char *params[2] = { NULL, NULL };
            if (!fits(row->path, path, &r->arena, params, &exact))
                continue;
            if (strcmp(row->method, method) != 0) {
                *other_method = true;
            } else if (exact > best) {
                best = exact;
                found = row;
                memcpy(r->params, params, sizeof(params));
            }
        }
    return found;
}

void sl_http_print_routes(void)
{
    for (size_t t = 0; t < N_TABLES; t++)
        for (const sl_route_row *row = tables[t]; row->path; row++)
            printf("%-6s %-44s %-8s %s\n", row->method, row->path, sl_role_name(row->role),
                   row->operation);
}

/* ---- a request ---- */

static void set_address(sl_request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!info || getnameinfo(info->client_addr,
                             info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                                      : sizeof(struct sockaddr_in),
                             r->address, sizeof(r->address), NULL, 0, NI_NUMERICHOST) != 0)
        snprintf(r->address, sizeof(r->address), "unknown");
    /* The proxy's own entry is the last one; those before it are the client's claims. */
    const char *forwarded = r->s->options.behind_proxy ? sl_header(r, "X-Forwarded-For") : NULL;
    const char *last = forwarded ? strrchr(forwarded, ',') : NULL;
    last = last ? last + 1 : forwarded;
    last = last ? last + strspn(last, " ") : "";
    if (last[0] && strlen(last) < sizeof(r->address) &&
        strspn(last, "0123456789abcdefABCDEF.:") == strlen(last))
        snprintf(r->address, sizeof(r->address), "%s", last);
}

/* Everything that can be said before the body. False when answered. */
static bool admit(sl_request *r, const char *method, const char *path)
{
    bool other_method;
    char *end;
    if (strlen(path) > MOST_PATH || !sl_is_text(path)) {
        sl_problem(r, "bad_request", NULL, "the path is too long or no UTF-8");
        return false;
    }
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    r->route = find_route(r, method, path, &other_method);
    if (!r->route && sl_console_reply(r, method, path))
        return false;
    if (!r->route) {
        sl_problem(r, other_method ? "method_not_allowed" : "unknown_route",
                   "docs/openapi.yaml has all routes.", "there is no %s here", method);
        return false;
    }
    if (!sl_auth_check(r))
        return false;
    const char *length = sl_header(r, "Content-Length");
    unsigned long long n = length ? strtoull(length, &end, 10) : 0;
    /* What is a little too long is read and thrown away, so that the client sees the answer. */
    if (n > (r->who.role == SL_ROLE_NONE ? 4 * MOST_UNKNOWN_BODY : 16 * MOST_BODY)) {
        sl_problem(r, "too_large", NULL, "the body is longer than this route takes");
        return false;
    }
    return true;
}

static bool take_body(sl_request *r)
{
    unsigned flags = r->route->flags;
    const char *type = sl_header(r, "Content-Type");
    json_error_t why;
    if (r->too_large) {
        sl_problem(r, "too_large", NULL, "the body is longer than this route takes");
        return false;
    }
    if (!(flags & SL_ROUTE_BODY) || (r->body.len == 0 && flags & SL_ROUTE_OPTIONAL))
        return true;
    if (type && flags & SL_ROUTE_YAML &&
        (strncmp(type, "application/yaml", 16) == 0 || strncmp(type, "text/yaml", 9) == 0))
        return true;
    if (!type || strncmp(type, "application/json", 16) != 0) {
        sl_problem(r, "unsupported_media_type", "Send Content-Type: application/json.",
                   "the body's type is %s", type && sl_is_text(type) ? type : "not given");
        return false;
    }
    r->json = json_loadb(sl_buf_str(&r->body), r->body.len, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(r->json)) {
        sl_problem(r, "bad_request", NULL, "the body is no JSON object%s%s", r->json ? "" : ": ",
                   r->json ? "" : why.text);
        return false;
    }
    return true;
}

static void audit(sl_request *r)
{
    sl_error err = SL_ERROR_INIT;
    if (!r->route || strcmp(r->route->method, "GET") == 0 || r->status >= 400 ||
        r->route->flags & SL_ROUTE_QUIET || r->keep_out)
        return;
    if (sl_audit_store(r->s->catalog, r->who.user, r->address, r->route->operation, r->params[0],
                       r->params[1], &err) != SL_OK)
        sl_log_error(&err, "an audit line could not be stored");
}

static sl_rc known_answer(sl_request *r, const char *key, char *hash)
{
    json_t *before = NULL;
    sl_error err = SL_ERROR_INIT;
    SL_BUF(all);
    sl_buf_printf(&all, "%s %s ", r->route->operation, r->params[0] ? r->params[0] : "");
    sl_buf_add(&all, sl_buf_str(&r->body), r->body.len);
    snprintf(hash, 40, "%016llx%016llx", (unsigned long long)sl_hash64(all.data, all.len, 1),
             (unsigned long long)sl_hash64(all.data, all.len, 2));
    sl_rc rc = sl_answer_find(r->s->catalog, r->who.user, key, &before, &err);
    if (rc == SL_OK && strcmp(json_string_value(json_object_get(before, "request")), hash) != 0) {
        sl_problem(r, "conflict", "Use a new key for a new request.",
                   "this Idempotency-Key was used for another request");
    } else if (rc == SL_OK) {
        r->keep_out = true;
        sl_reply(r, (int)json_integer_value(json_object_get(before, "status")),
                 json_incref(json_object_get(before, "body")));
    } else if (rc != SL_NOT_FOUND) {
        sl_problem_error(r, &err, rc, "invalid");
    }
    json_decref(before);
    return rc;
}

static void answer(sl_request *r)
{
    r->route->handle(r);
    if (!r->answered)
        sl_problem(r, "server_error", NULL, "%s gave no answer", r->route->operation);
}

/* With an Idempotency-Key: one at a time, so that a repetition finds the answer of the first. */
static void answer_once(sl_request *r, const char *key)
{
    char hash[40];
    sl_error err = SL_ERROR_INIT;
    if (strlen(key) < 8 || strlen(key) > 100 || !sl_is_text(key)) {
        sl_problem(r, "bad_request", NULL, "an Idempotency-Key has 8 to 100 characters");
        return;
    }
    pthread_mutex_lock(&r->s->once);
    if (known_answer(r, key, hash) == SL_NOT_FOUND) {
        answer(r);
        if (r->status == 201 && r->answer &&
            sl_answer_store(r->s->catalog, r->who.user, key, hash, r->status, r->answer, &err) !=
                SL_OK)
            sl_log_error(&err, "the answer to a request could not be kept for its repetition");
    }
    pthread_mutex_unlock(&r->s->once);
}

static void handle(sl_request *r)
{
    const char *key =
        r->route->flags & SL_ROUTE_REPEATABLE ? sl_header(r, "Idempotency-Key") : NULL;
    if (key)
        answer_once(r, key);
    else
        answer(r);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    sl_request *r = *state;
    (void)version;
    if (!r) {
        r = *state = sl_xcalloc(1, sizeof(*r));
        r->s = cls;
        r->connection = connection;
        set_address(r);
        admit(r, method, url);
        return MHD_YES;
    }
    if (*size > 0) {
        size_t most = r->who.role == SL_ROLE_NONE ? MOST_UNKNOWN_BODY : MOST_BODY;
        if (!r->answered && r->body.len + *size <= most)
            sl_buf_add(&r->body, data, *size);
        else
            r->too_large = true;
        *size = 0;
        return MHD_YES;
    }
    if (!r->answered && take_body(r))
        handle(r);
    audit(r);
    return MHD_YES;
}

static void on_end(void *cls, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode why)
{
    sl_request *r = *state;
    (void)cls, (void)connection, (void)why;
    if (!r)
        return;
    if (r->body.data)
        explicit_bzero(r->body.data, r->body.len); /* it may hold passwords */
    sl_buf_free(&r->body);
    json_decref(r->json);
    json_decref(r->answer);
    sl_arena_free(&r->arena);
    free(r);
    *state = NULL;
}

static void on_log(void *cls, const char *fmt, va_list values)
{
    char line[500];
    (void)cls;
    vsnprintf(line, sizeof(line), fmt, values);
    line[strcspn(line, "\n")] = '\0';
    sl_debug("http: %s", line);
}

/* ---- start ---- */

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static sl_rc parse_listen(const char *text, struct sockaddr_storage *out, sl_error *err)
{
    char host[100] = "";
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                              .ai_socktype = SOCK_STREAM },
                    *found = NULL;
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    if (colon && n > 0 && n < sizeof(host))
        memcpy(host, text, n);
    if (!host[0] || getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        sl_fail(err, SL_USAGE, "--listen takes ADDR:PORT, such as 127.0.0.1:7432 or [::1]:7432");
        return err->code;
    }
    memcpy(out, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return SL_OK;
}

static sl_rc read_file(const char *path, char **text, sl_error *err)
{
    FILE *in = fopen(path, "re");
    if (!in)
        return sl_fail_errno(err, SL_USAGE, "%s cannot be read", path);
    *text = sl_xcalloc(1, 1 << 16);
    size_t n = fread(*text, 1, (1 << 16) - 1, in);
    fclose(in);
    return n > 0 ? SL_OK : sl_fail(err, SL_USAGE, "%s is empty", path);
}

static sl_rc check_options(const sl_serve_options *o, const struct sockaddr_storage *address,
                           sl_error *err)
{
    if (!o->tls_cert != !o->tls_key)
        return sl_fail(err, SL_USAGE, "--tls-cert and --tls-key are given together");
    if (o->tls_cert || o->behind_proxy || is_loopback((const struct sockaddr *)address))
        return SL_OK;
    sl_fail(err, SL_USAGE, "passwords would cross the network in clear on %s", o->listen);
    return sl_hint(err,
                   "Give --tls-cert and --tls-key; or listen on 127.0.0.1; or, where a proxy in "
                   "front does TLS, say --behind-proxy.");
}

/* The port that was bound, for people and tests: --listen may say 0. */
static unsigned bound_port(struct MHD_Daemon *daemon)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

sl_rc sl_http_start(sl_service *s, sl_error *err)
{
    struct sockaddr_storage address = { 0 };
    const sl_serve_options *o = &s->options;
    if (parse_listen(o->listen, &address, err) != SL_OK || check_options(o, &address, err) != SL_OK)
        return err->code;
    struct sl_http *http = s->http = sl_xcalloc(1, sizeof(*http));
    if (o->tls_cert && (read_file(o->tls_cert, &http->cert, err) != SL_OK ||
                        read_file(o->tls_key, &http->key, err) != SL_OK))
        return err->code;
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                     MHD_USE_POLL | MHD_USE_ERROR_LOG | MHD_USE_ITC;
    if (address.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    if (o->tls_cert)
        flags |= MHD_USE_TLS;
    struct MHD_OptionItem tls[] = { { MHD_OPTION_HTTPS_MEM_CERT, 0, http->cert },
                                    { MHD_OPTION_HTTPS_MEM_KEY, 0, http->key },
                                    { MHD_OPTION_END, 0, NULL } };
    errno = 0;
    http->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR, &address,
                         MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_NOTIFY_COMPLETED,
                         on_end, NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned)MOST_CONNECTIONS,
                         MHD_OPTION_CONNECTION_TIMEOUT, 30U, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)32768, MHD_OPTION_THREAD_STACK_SIZE, (size_t)512 << 10,
                         MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY,
                         o->tls_cert ? tls : tls + 2, MHD_OPTION_END);
    if (!http->daemon) {
        sl_fail_errno(err, SL_FAILED, "cannot listen on %s", o->listen);
        return sl_hint(err, "Is the port in use? Another one: --listen 127.0.0.1:PORT");
    }
    sl_info("listening on %s://%.*s:%u", o->tls_cert ? "https" : "http",
            (int)(strrchr(o->listen, ':') - o->listen), o->listen, bound_port(http->daemon));
    return SL_OK;
}

void sl_http_stop(sl_service *s)
{
    if (!s->http)
        return;
    if (s->http->daemon)
        MHD_stop_daemon(s->http->daemon);
    free(s->http->cert);
    if (s->http->key)
        explicit_bzero(s->http->key, strlen(s->http->key));
    free(s->http->key);
    free(s->http);
    s->http = NULL;
}
