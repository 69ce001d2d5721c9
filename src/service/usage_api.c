/* usage_api.c: routes of classes, usage, prices, terms, and what a task is billed by. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "service/http.h"
#include "spec/classes.h"

/* ---- classes ---- */

static json_t *or_null(int64_t n)
{
    return n > 0 ? json_integer(n) : json_null();
}

static void list_classes(sl_request *r)
{
    json_t *items = json_array();
    for (const sl_class *c = sl_classes; c->name; c++)
        json_array_append_new(items,
                              json_pack("{s:s, s:o, s:o, s:o}", "name", c->name, "rows_per_second",
                                        or_null(c->rows_per_second), "workers", or_null(c->workers),
                                        "memory_bytes", or_null(c->memory_bytes)));
    sl_reply(r, 200, json_pack("{s:o}", "items", items));
}

/* A new version of the specification; a running worker is told, and need not start again. */
static void change_class(sl_request *r)
{
    static const char *const keys[] = { "class", NULL };
    sl_task_row row;
    sl_error err = SL_ERROR_INIT;
    const char *name = sl_body_text(r, "class", 1, 20);
    if (!name || !sl_body_only(r, keys))
        return;
    if (!sl_class_find(name)) {
        sl_problem_field(r, "/class", "is no class: see GET /api/v1/classes");
        return;
    }
    sl_rc rc = sl_task_read(r->s->catalog, r->params[0], &r->arena, &row, &err);
    if (rc == SL_OK) {
        json_object_set_new(row.spec, "class", json_string(name));
        rc = sl_task_replace_spec(r->s->catalog, row.id, row.spec_version, row.name, row.spec,
                                  row.passwords, r->who.user, &err);
    }
    sl_task_row_free(&row);
    if (rc == SL_OK) {
        SL_SERVICE_LOCKED(r->s);
        sl_task *task = sl_supervisor_find(r->s, r->params[0]);
        if (task)
            sl_supervisor_tell(r->s, task, json_pack("{s:s}", "class", name));
    }
    sl_alerts_changed(r->s);
    if (rc == SL_OK)
        sl_reply_task(r, 202, r->params[0]);
    else
        sl_problem_error(r, &err, rc, "invalid");
}

/* ---- the report ---- */

/* A day of the query as days since 1970, or the default. False when answered. */
static bool take_day(sl_request *r, const char *name, int64_t *day)
{
    const char *text = sl_query(r, name);
    int64_t us;
    if (!text)
        return true;
    if (strlen(text) != 10 ||
        !sl_time_parse(sl_arena_printf(&r->arena, "%sT00:00:00Z", text), &us)) {
        sl_problem(r, "bad_request", NULL, "%s is a day such as 2026-11-22", name);
        return false;
    }
    *day = us / INT64_C(86400000000);
    return true;
}

static void add_csv_text(sl_buf *out, const char *text)
{
    /* A spreadsheet would take a text that begins so for a formula. */
    const char *guard = text[0] && strchr("=+-@\t\r", text[0]) ? "'" : "";
    sl_buf_printf(out, "\"%s", guard);
    for (; *text; text++)
        sl_buf_printf(out, *text == '"' ? "\"%c" : "%c", *text);
    sl_buf_putc(out, '"');
}

static void reply_csv(sl_request *r, const json_t *report)
{
    static const char *const columns[] = { "task",  "name",           "month", "class", "billing",
                                           "hours", "retrying_hours", "rows",  "bytes", "price" };
    SL_BUF(out);
    size_t i;
    json_t *row;
    sl_buf_puts(&out, "task,name,month,class,billing,hours,retrying_hours,rows,bytes,price,"
                      "currency\r\n");
    json_array_foreach(json_object_get(report, "items"), i, row)
    {
        for (size_t k = 0; k < sizeof(columns) / sizeof(columns[0]); k++) {
            const json_t *value = json_object_get(row, columns[k]);
            if (json_is_string(value))
                add_csv_text(&out, json_string_value(value));
            else if (json_is_integer(value))
                sl_buf_printf(&out, "%lld", (long long)json_integer_value(value));
            else if (json_is_real(value))
                sl_buf_printf(&out, "%.6f", json_real_value(value));
            sl_buf_putc(&out, ',');
        }
        add_csv_text(&out, json_string_value(json_object_get(report, "currency")));
        sl_buf_puts(&out, "\r\n");
    }
    sl_reply_text(r, 200, "text/csv; charset=utf-8", sl_buf_str(&out));
}

static void usage(sl_request *r)
{
    json_t *report = NULL;
    sl_error err = SL_ERROR_INIT;
    time_t now = (time_t)(sl_now_us() / 1000000);
    struct tm tm;
    gmtime_r(&now, &tm);
    int64_t to = now / 86400, from = to - (tm.tm_mday - 1); /* this month */
    if (!take_day(r, "from", &from) || !take_day(r, "to", &to))
        return;
    if (from > to || to - from > 4000) {
        sl_problem(r, "bad_request", NULL, "from is before to, and at most 4000 days lie between");
        return;
    }
    {
        SL_SERVICE_LOCKED(r->s);
        sl_metering_flush(r->s, &err);
        sl_error_clear(&err); /* what is stored can be shown all the same */
    }
    sl_rc rc = sl_usage_report(r->s->catalog, from, to + 1, sl_query(r, "task"), &report, &err);
    if (rc != SL_OK)
        sl_problem_error(r, &err, rc, "bad_request");
    else if (sl_accepts(r, "text/csv"))
        reply_csv(r, report);
    else
        sl_reply(r, 200, json_incref(report));
    json_decref(report);
}

/* ---- prices and terms ---- */

static void get_prices(sl_request *r)
{
    json_t *prices = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_prices_get(r->s->catalog, &prices, &err);
    if (rc == SL_OK)
        sl_reply(r, 200, prices);
    else
        sl_problem_error(r, &err, rc, "invalid");
}

static bool is_price(const json_t *value)
{
    return json_is_number(value) && json_number_value(value) >= 0 &&
           json_number_value(value) <= 1e12;
}

/* {class: price} */
static bool take_by_class(sl_request *r, const char *key)
{
    const char *class;
    json_t *value, *object = json_object_get(r->json, key);
    if (object && !json_is_object(object)) {
        sl_problem_field(r, sl_arena_printf(&r->arena, "/%s", key), "is no object");
        return false;
    }
    if (!object)
        json_object_set_new(r->json, key, json_object());
    json_object_foreach(object, class, value)
    {
        const char *wrong = !sl_class_find(class) ? "is no class"
                            : !is_price(value)    ? "is no number from 0"
                                                  : NULL;
        if (wrong) {
            sl_problem_field(r, sl_arena_printf(&r->arena, "/%s/%s", key, class), wrong);
            return false;
        }
    }
    return true;
}

static void put_prices(sl_request *r)
{
    static const char *const keys[] = { "currency",     "hour",     "month",
                                        "million_rows", "gibibyte", NULL };
    sl_error err = SL_ERROR_INIT;
    const char *currency = sl_body_text(r, "currency", 3, 3);
    if (!currency || !sl_body_only(r, keys))
        return;
    if (strspn(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3) {
        sl_problem_field(r, "/currency", "is not three capital letters, such as EUR");
        return;
    }
    for (int i = 3; keys[i]; i++)
        if (json_object_get(r->json, keys[i]) && !is_price(json_object_get(r->json, keys[i]))) {
            sl_problem_field(r, sl_arena_printf(&r->arena, "/%s", keys[i]), "is no number from 0");
            return;
        }
    if (!take_by_class(r, "hour") || !take_by_class(r, "month"))
        return;
    sl_rc rc;
    {
        SL_SERVICE_LOCKED(r->s);
        rc = sl_metering_flush(r->s, &err); /* what was used till now has the price of till now */
    }
    if (rc == SL_OK)
        rc = sl_prices_store(r->s->catalog, r->json, r->who.user, &err);
    if (rc == SL_OK)
        sl_reply(r, 200, json_incref(r->json));
    else
        sl_problem_error(r, &err, rc, "invalid");
}

static void get_terms(sl_request *r)
{
    json_t *terms = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_terms_get(r->s->catalog, &terms, &err);
    if (rc == SL_OK)
        sl_reply(r, 200, terms);
    else
        sl_problem_error(r, &err, rc, "invalid");
}

static void put_terms(sl_request *r)
{
    static const char *const keys[] = { "version", "text", NULL };
    sl_error err = SL_ERROR_INIT;
    const char *version = sl_body_text(r, "version", 1, 100);
    if (!version || !sl_body_text(r, "text", 1, 100000) || !sl_body_only(r, keys))
        return;
    sl_rc rc = sl_terms_store(r->s->catalog, r->json, &err);
    if (rc == SL_OK)
        sl_reply(r, 200, json_incref(r->json));
    else
        sl_problem_error(r, &err, rc, "invalid");
}

/* ---- a task's billing ---- */

static void reply_billing(sl_request *r)
{
    json_t *billing = NULL;
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_billing_get(r->s->catalog, r->params[0], &billing, &err);
    if (rc == SL_OK)
        sl_reply(r, 200, billing);
    else
        sl_problem_error(r, &err, rc, "invalid");
}

/* The same day and time so many months later, or the month's last day. */
static int64_t months_later(int64_t us, int64_t months)
{
    time_t t = (time_t)(us / 1000000);
    struct tm tm;
    gmtime_r(&t, &tm);
    int day = tm.tm_mday;
    tm.tm_mday = 1;
    tm.tm_mon += (int)months;
    time_t first = timegm(&tm);
    tm.tm_mon++;
    int days = (int)((timegm(&tm) - first) / 86400);
    return ((int64_t)first + (int64_t)((day < days ? day : days) - 1) * 86400) * 1000000 +
           us % 1000000;
}

/* What is to be accepted, or NULL. False when answered. */
static bool take_terms(sl_request *r, const char **accepted)
{
    json_t *terms = NULL;
    sl_error err = SL_ERROR_INIT;
    *accepted = NULL;
    const json_t *given = json_object_get(r->json, "accepted_terms");
    if (given && !json_is_null(given) && !(*accepted = sl_body_text(r, "accepted_terms", 1, 100)))
        return false;
    if (sl_terms_get(r->s->catalog, &terms, &err) != SL_OK) {
        sl_problem_error(r, &err, err.code, "invalid");
        return false;
    }
    const char *version = json_string_value(json_object_get(terms, "version"));
    bool good = !version || (*accepted && strcmp(version, *accepted) == 0);
    if (!good)
        sl_problem_field(r, "/accepted_terms",
                         sl_arena_printf(&r->arena,
                                         "has to be %s, the version of the service terms in force "
                                         "(GET /api/v1/terms)",
                                         version));
    if (good && !version)
        *accepted = NULL;
    json_decref(terms);
    return good;
}

static bool is_term(int64_t months)
{
    return (months >= 1 && months <= 9) || months == 12 || months == 24 || months == 36;
}

static void put_billing(sl_request *r)
{
    static const char *const keys[] = { "kind", "months", "ends_at", "accepted_terms", NULL };
    sl_error err = SL_ERROR_INIT;
    const char *kind = sl_body_text(r, "kind", 1, 20), *accepted, *class = "unlimited";
    int64_t months = json_integer_value(json_object_get(r->json, "months")), ends = 0;
    bool found = false;
    if (!kind || !sl_body_only(r, keys))
        return;
    bool subscription = strcmp(kind, "subscription") == 0;
    if (!subscription && strcmp(kind, "pay_as_you_go") != 0)
        sl_problem_field(r, "/kind", "is neither pay_as_you_go nor subscription");
    else if (subscription && !is_term(months))
        sl_problem_field(r, "/months", "is none of 1 to 9, 12, 24, 36");
    else if (!subscription && months != 0)
        sl_problem_field(r, "/months", "belongs to a subscription");
    if (r->answered || !take_terms(r, &accepted))
        return;
    sl_rc rc = SL_OK;
    {
        SL_SERVICE_LOCKED(r->s);
        const sl_task *task = sl_supervisor_find(r->s, r->params[0]);
        found = task != NULL;
        if (task) {
            int64_t now = sl_now_us(), before = sl_metering_end(r->s, task);
            ends = subscription ? months_later(before > now ? before : now, months) : 0;
            class = sl_arena_strdup(&r->arena, sl_metering_class(r->s, task));
            rc = sl_metering_flush(r->s, &err);
        }
    }
    if (rc == SL_OK && !found)
        rc = SL_NOT_FOUND;
    if (rc == SL_OK)
        rc = sl_billing_store(r->s->catalog, r->params[0], kind, subscription ? months : 0, ends,
                              class, accepted, r->who.user, &err);
    sl_alerts_changed(r->s);
    if (rc == SL_OK)
        reply_billing(r);
    else
        sl_problem_error(r, &err, rc, "invalid");
}

#define V1 "/api/v1"
const sl_route_row sl_routes_usage[] = {
    { "GET", V1 "/classes", SL_ROLE_VIEWER, 0, list_classes, "list_classes" },
    { "PUT", V1 "/tasks/*/class", SL_ROLE_OPERATOR, SL_ROUTE_BODY, change_class, "change_class" },
    { "GET", V1 "/usage", SL_ROLE_VIEWER, 0, usage, "usage" },
    { "GET", V1 "/prices", SL_ROLE_VIEWER, 0, get_prices, "get_prices" },
    { "PUT", V1 "/prices", SL_ROLE_ADMIN, SL_ROUTE_BODY, put_prices, "put_prices" },
    { "GET", V1 "/terms", SL_ROLE_VIEWER, 0, get_terms, "get_terms" },
    { "PUT", V1 "/terms", SL_ROLE_ADMIN, SL_ROUTE_BODY, put_terms, "put_terms" },
    { "GET", V1 "/tasks/*/billing", SL_ROLE_VIEWER, 0, reply_billing, "get_billing" },
    { "PUT", V1 "/tasks/*/billing", SL_ROLE_OPERATOR, SL_ROUTE_BODY, put_billing, "put_billing" },
    { NULL },
};
