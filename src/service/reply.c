/* reply.c: answers, problems, and the parts of a request that many handlers look at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/http.h"

/* ---- answers ---- */

void sl_reply_header(sl_request *r, const char *name, const char *value)
{
    if (r->n_headers < 4) {
        r->headers[r->n_headers][0] = name;
        r->headers[r->n_headers++][1] = sl_arena_strdup(&r->arena, value);
    }
}

void sl_reply_response(sl_request *r, int status, struct MHD_Response *response)
{
    if (r->answered) {
        MHD_destroy_response(response);
        return;
    }
    r->answered = true;
    r->status = status;
    for (int i = 0; i < r->n_headers; i++)
        MHD_add_response_header(response, r->headers[i][0], r->headers[i][1]);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_queue_response(r->connection, (unsigned)status, response);
    MHD_destroy_response(response);
}

static void reply_bytes(sl_request *r, int status, const char *type, char *text)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    MHD_add_response_header(response, "Content-Type", type);
    sl_reply_response(r, status, response);
}

void sl_reply(sl_request *r, int status, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(r->answer);
    r->answer = json;
    if (!text)
        sl_problem(r, "server_error", NULL, "the answer could not be written");
    else
        reply_bytes(r, status, status >= 400 ? "application/problem+json" : "application/json",
                    text);
}

void sl_reply_text(sl_request *r, int status, const char *type, const char *text)
{
    reply_bytes(r, status, type, sl_xstrdup(text));
}

void sl_reply_nothing(sl_request *r)
{
    sl_reply_response(r, 204, MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT));
}

/* ---- problems ---- */

static const struct problem {
    const char *type;
    int status;
    const char *title;
} problems[] = {
    { "bad_request", 400, "The request is malformed" },
    { "unauthenticated", 401, "Log in, or give a token" },
    { "login_failed", 401, "Login failed" },
    { "csrf", 403, "The header X-CSRF-Token is missing or wrong" },
    { "forbidden", 403, "Your role does not allow this" },
    { "not_found", 404, "There is no such thing" },
    { "unknown_route", 404, "There is no such route" },
    { "method_not_allowed", 405, "The route does not take this method" },
    { "conflict", 409, "It is in the way of something else" },
    { "wrong_state", 409, "Not possible in this state" },
    { "precondition_failed", 412, "Somebody else was faster" },
    { "too_large", 413, "The request is too large" },
    { "unsupported_media_type", 415, "The body's type is not taken" },
    { "invalid", 422, "Something in the request is not valid" },
    { "precondition_required", 428, "The header If-Match is missing" },
    { "too_many_requests", 429, "Too many attempts" },
    { "server_error", 500, "The service failed" },
    { "upstream", 502, "A database server refused" },
    { "unavailable", 503, "Not possible just now" },
    { "timeout", 504, "It took too long" },
};
#define N_PROBLEMS (sizeof(problems) / sizeof(problems[0]))

static void reply_problem(sl_request *r, const char *type, const char *detail, const char *hint,
                          json_t *errors)
{
    const struct problem *p = &problems[N_PROBLEMS - 4]; /* server_error */
    for (size_t i = 0; i < N_PROBLEMS; i++)
        if (strcmp(problems[i].type, type) == 0)
            p = &problems[i];
    if (p->status == 401)
        sl_reply_header(r, "WWW-Authenticate", "Bearer");
    sl_reply(r, p->status,
             json_pack("{s:s, s:s, s:i, s:s*, s:s*, s:o*}", "type", p->type, "title", p->title,
                       "status", p->status, "detail", detail, "hint", hint && hint[0] ? hint : NULL,
                       "errors", errors));
}

void sl_problem(sl_request *r, const char *type, const char *hint, const char *fmt, ...)
{
    va_list values;
    va_start(values, fmt);
    const char *detail = sl_arena_vprintf(&r->arena, fmt, values);
    va_end(values);
    reply_problem(r, type, detail, hint, NULL);
}

void sl_problem_error(sl_request *r, const sl_error *err, sl_rc rc, const char *usage)
{
    const char *type = rc == SL_USAGE       ? usage
                       : rc == SL_NOT_FOUND ? "not_found"
                       : rc == SL_TRANSIENT ? "unavailable"
                                            : "server_error";
    json_t *field = rc == SL_USAGE ? sl_specs_field_error(err->message) : NULL;
    const char *detail = err->message;
    if (strncmp(detail, "spec:", 5) == 0 && strstr(detail, ": ")) /* the line says nothing here */
        detail = strstr(detail, ": ") + 2;
    reply_problem(r, type, detail[0] ? detail : "there is nothing of that name", err->hint,
                  field ? json_pack("[o]", field) : NULL);
}

void sl_problem_field(sl_request *r, const char *path, const char *message)
{
    const char *detail = sl_arena_printf(&r->arena, "%s %s", path, message);
    reply_problem(r, "invalid", detail, NULL,
                  json_pack("[{s:s, s:s}]", "path", path, "message", message));
}

/* ---- requests ---- */

bool sl_is_text(const char *s)
{
    json_t *text = json_string(s);
    json_decref(text);
    return text != NULL;
}

const char *sl_query(sl_request *r, const char *name)
{
    const char *value = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
    return value && value[0] && sl_is_text(value) ? value : NULL;
}

const char *sl_header(sl_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

bool sl_accepts(sl_request *r, const char *type)
{
    const char *accept = sl_header(r, "Accept");
    return accept && strstr(accept, type);
}

bool sl_request_page(sl_request *r, sl_page *page)
{
    const char *limit = sl_query(r, "limit");
    char *end = NULL;
    *page = (sl_page){ .limit = 100, .cursor = sl_query(r, "cursor") };
    if (limit) {
        long n = strtol(limit, &end, 10);
        if (*end || n < 1 || n > 1000) {
            sl_problem(r, "bad_request", NULL, "limit is a number from 1 to 1000");
            return false;
        }
        page->limit = (int)n;
    }
    return true;
}

const char *sl_body_text(sl_request *r, const char *key, size_t min, size_t max)
{
    const json_t *value = json_object_get(r->json, key);
    size_t n = json_string_length(value);
    if (!value && min == 0)
        return NULL;
    if (json_is_string(value) && n >= min && n <= max && !memchr(json_string_value(value), 0, n))
        return json_string_value(value);
    sl_problem_field(r, sl_arena_printf(&r->arena, "/%s", key),
                     !value ? "is missing"
                            : sl_arena_printf(&r->arena, "is not a text of %zu to %zu bytes", min,
                                              max));
    return NULL;
}

bool sl_body_only(sl_request *r, const char *const *keys)
{
    const char *key;
    json_t *value;
    json_object_foreach(r->json, key, value)
    {
        bool known = false;
        for (int i = 0; keys[i]; i++)
            known |= strcmp(keys[i], key) == 0;
        if (!known) {
            sl_problem_field(r, sl_arena_printf(&r->arena, "/%s", key),
                             "is not a key of this body");
            return false;
        }
    }
    return true;
}

int64_t sl_if_match(sl_request *r)
{
    const char *given = sl_header(r, "If-Match");
    long long version;
    int used = 0;
    if (!given) {
        sl_problem(r, "precondition_required", "Send If-Match with the ETag that you read.",
                   "without If-Match somebody else's change could be lost");
        return -1;
    }
    if (sscanf(given, "\"%lld\"%n", &version, &used) == 1 && used > 0 && !given[used] &&
        version > 0)
        return version;
    sl_problem(r, "precondition_failed", "Read it again.", "If-Match is not the newest ETag");
    return -1;
}
