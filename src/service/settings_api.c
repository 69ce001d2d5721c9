/* settings_api.c: the service's settings: one table of them, read and changed. */
#include <string.h>

#include "service/http.h"

static const struct setting {
    const char *name;
    int64_t standard, least, most; /* most 0: a text or null */
} settings[] = {
    { "metrics_days", SL_METRICS_DAYS, 1, 365 },
    { "session_hours", SL_SESSION_HOURS, 1, 720 },
    { "service_terms", 0, 0, 0 },
};
#define N (sizeof(settings) / sizeof(settings[0]))
#define MOST_TEXT 20000

static void get_settings(sl_request *r)
{
    json_t *out = json_object();
    for (size_t i = 0; i < N; i++) {
        json_t *value = NULL;
        sl_error err = SL_ERROR_INIT;
        sl_rc rc = sl_setting_read(r->s->catalog, settings[i].name, &value, &err);
        if (rc != SL_OK && rc != SL_NOT_FOUND) {
            json_decref(out);
            sl_problem_error(r, &err, rc, "invalid");
            return;
        }
        if (!value)
            value = settings[i].most ? json_integer(settings[i].standard) : json_null();
        json_object_set_new(out, settings[i].name, value);
    }
    sl_reply(r, 200, out);
}

/* What is wrong with a value, or NULL. */
static const char *fault(sl_request *r, const struct setting *s, const json_t *value)
{
    if (s->most == 0)
        return json_is_null(value) ||
                       (json_is_string(value) && json_string_length(value) <= MOST_TEXT)
                   ? NULL
                   : "is neither null nor a text of at most 20000 bytes";
    json_int_t n = json_integer_value(value);
    return json_is_integer(value) && n >= s->least && n <= s->most
               ? NULL
               : sl_arena_printf(&r->arena, "is not a number from %lld to %lld",
                                 (long long)s->least, (long long)s->most);
}

static void change_settings(sl_request *r)
{
    static const char *const keys[] = { "metrics_days", "session_hours", "service_terms", NULL };
    sl_error err = SL_ERROR_INIT;
    if (!sl_body_only(r, keys))
        return;
    for (size_t i = 0; i < N; i++) {
        const json_t *value = json_object_get(r->json, settings[i].name);
        const char *wrong = value ? fault(r, &settings[i], value) : NULL;
        if (wrong) {
            sl_problem_field(r, sl_arena_printf(&r->arena, "/%s", settings[i].name), wrong);
            return;
        }
    }
    for (size_t i = 0; i < N; i++) {
        const json_t *value = json_object_get(r->json, settings[i].name);
        if (value && sl_setting_store(r->s->catalog, settings[i].name, value, &err) != SL_OK) {
            sl_problem_error(r, &err, err.code, "invalid");
            return;
        }
    }
    get_settings(r);
}

const sl_route_row sl_routes_settings[] = {
    { "GET", "/api/v1/settings", SL_ROLE_ADMIN, 0, get_settings, "get_settings" },
    { "PATCH", "/api/v1/settings", SL_ROLE_ADMIN, SL_ROUTE_BODY, change_settings,
      "change_settings" },
    { NULL },
};
