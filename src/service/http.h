/* http.h: a request and its answer. Internal to src/service.
 *
 * A handler looks at the request and answers exactly once. Everything in `arena` lives to the end
 * of the request. */
#ifndef SL_SERVICE_HTTP_H
#define SL_SERVICE_HTTP_H

#include <microhttpd.h>
#include "service/service.h"

typedef struct sl_request sl_request;

enum {
    SL_ROUTE_BODY = 1,        /* takes a JSON object */
    SL_ROUTE_OPTIONAL = 2,    /* … or nothing */
    SL_ROUTE_YAML = 4,        /* … or YAML */
    SL_ROUTE_QUIET = 8,       /* is not audited, though it is no GET */
    SL_ROUTE_REPEATABLE = 16, /* takes an Idempotency-Key; its answer holds no secret */
};

typedef struct sl_route_row {
    const char *method, *path; /* * stands for one segment */
    sl_role role;
    unsigned flags;
    void (*handle)(sl_request *r);
    const char *operation; /* operationId of docs/openapi.yaml; also the audit's action */
} sl_route_row;

/* One table per file of handlers; the path of each ends with NULL. */
extern const sl_route_row sl_routes_access[], sl_routes_tasks[], sl_routes_specs[],
    sl_routes_progress[], sl_routes_connections[], sl_routes_service[], sl_routes_alerts[],
    sl_routes_views[], sl_routes_settings[], sl_routes_objects[], sl_routes_usage[];

struct sl_request {
    sl_service *s;
    struct MHD_Connection *connection;
    const sl_route_row *route;
    const char *params[2]; /* what the path's * stand for */
    sl_arena arena;
    sl_buf body;
    bool too_large, answered;
    json_t *json; /* the body, or NULL */
    sl_who who;   /* role SL_ROLE_NONE: nobody */
    char address[64];
    char session[SL_TOKEN_SIZE]; /* of the cookie, or "" */
    bool keep_out;               /* of the audit: the handler wrote its own line */
    int status;
    json_t *answer; /* kept for repeated requests */
    const char *headers[4][2];
    int n_headers;
};

/* Answers. json is stolen. */
void sl_reply(sl_request *r, int status, json_t *json);
void sl_reply_text(sl_request *r, int status, const char *type, const char *text);
void sl_reply_nothing(sl_request *r); /* 204 */
void sl_reply_response(sl_request *r, int status, struct MHD_Response *response);
void sl_reply_header(sl_request *r, const char *name, const char *value); /* before the answer */
/* problem+json; type is one of the file's words, which also give status and title. */
void sl_problem(sl_request *r, const char *type, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* From an error: SL_USAGE as `usage`, SL_TRANSIENT as unavailable, SL_NOT_FOUND as not_found,
 * others as server_error. */
void sl_problem_error(sl_request *r, const sl_error *err, sl_rc rc, const char *usage);
/* One field of the body is wrong: 422. */
void sl_problem_field(sl_request *r, const char *path, const char *message);

bool sl_is_text(const char *s); /* UTF-8? */

/* The request. Texts live in the arena or the request. */
const char *sl_query(sl_request *r, const char *name);  /* or NULL */
const char *sl_header(sl_request *r, const char *name); /* or NULL */
bool sl_accepts(sl_request *r, const char *type);
/* limit and cursor; false when answered (wrong). */
bool sl_request_page(sl_request *r, sl_page *page);
/* A member of the body: a text of min to max bytes. NULL when it is absent and min is 0 or when
 * answered (r->answered). */
const char *sl_body_text(sl_request *r, const char *key, size_t min, size_t max);
/* Answers 422 for a member that is not in the list (words ended by NULL); true when all are. */
bool sl_body_only(sl_request *r, const char *const *keys);
/* The number in an ETag of If-Match, -1 when answered (428, 412). */
int64_t sl_if_match(sl_request *r);

/* auth.c */
struct sl_throttle *sl_throttle_new(void);
void sl_throttle_free(struct sl_throttle *t);
/* Fills who; false when answered. */
bool sl_auth_check(sl_request *r);

/* tasks_api.c, for others */
/* Runs a command on a specification's text; false when answered. */
bool sl_ask_with(sl_request *r, const char *const *words, const char *text, int seconds,
                 sl_buf *output);
extern const char *const sl_plan_words[];
void sl_reply_plan(sl_request *r, const sl_buf *output);
void sl_reply_task(sl_request *r, int status, const char *id);
/* Runs a command on the task's specification; exit code 0 and `also` are good. False when answered.
 */
bool sl_ask_task(sl_request *r, const char *const *words, int seconds, int also, sl_buf *output);
/* Was the task ever started? When not: answers with `otherwise` (stolen), or that it was not. */
bool sl_was_started(sl_request *r, json_t *otherwise);
/* stream.c: answers with server-sent events; task NULL: of all. */
void sl_reply_stream(sl_request *r, const char *task);

#endif
