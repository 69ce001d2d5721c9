/* catalog.h: what the service remembers: tasks with their specifications, history, findings,
 * progress and metrics; users, tokens, sessions; connection templates; drafts; the audit trail.
 *
 * One interface, so that a catalog on PostgreSQL can take the place of the present one (SQLite, WAL
 * mode, one writer) when several nodes share tasks. Thread-safe: one lock around every call. Rows
 * come as JSON objects in the form of the API (docs/openapi.yaml) unless a function says otherwise;
 * the caller owns them. A missing row is SL_NOT_FOUND without a message. A full disk is
 * SL_TRANSIENT: what was stored before is still there and nothing is stored by halves.
 *
 * Secrets (passwords of servers, drafts) are sealed with a key file of mode 0600 beside the
 * database; passwords of users are Argon2id hashes; tokens and sessions are stored as hashes. */
#ifndef SL_CATALOG_CATALOG_H
#define SL_CATALOG_CATALOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/arena.h"
#include "core/buf.h"
#include "core/error.h"

typedef struct sl_catalog sl_catalog;

/* Opens DIR/catalog.sqlite and DIR/secret.key, makes what is missing (the directory too, mode
 * 0700), and migrates an older version. A newer version, a key that does not fit and a data
 * directory in use by another process are refused. */
sl_rc sl_catalog_open(const char *dir, sl_catalog **catalog, sl_error *err);
void sl_catalog_close(sl_catalog *catalog); /* NULL is fine */
/* Writes and reads: can the catalog be used? */
sl_rc sl_catalog_probe(sl_catalog *c, sl_error *err);
/* At most that many pages of 4 KiB, for tests of a full disk; 0 lifts the limit. */
void sl_catalog_limit_pages(sl_catalog *c, int pages);
/* Removes what is too old: sessions, answers, metrics, and all but the newest events of each task.
 */
sl_rc sl_catalog_prune(sl_catalog *c, sl_error *err);

#define SL_ID_SIZE 11
/* Ten random characters of a-z and 0-9, the first a letter. buf of SL_ID_SIZE; returns buf. */
char *sl_catalog_new_id(char *buf);

/* ---- pages ---- */
typedef struct sl_page {
    int limit;          /* 1 … 1000 */
    const char *cursor; /* from the page before, or NULL */
} sl_page;
/* A page is {"items": […], "next_cursor": … or null}. A cursor that is not one of ours: SL_USAGE.
 */

/* ---- secrets ---- */
/* Seals text to base64; opens it again. Opening fails when the text was changed or sealed with
 * another key or for another purpose. purpose is a short word. */
char *sl_secret_seal(sl_catalog *c, const char *purpose, const char *text, sl_arena *arena);
sl_rc sl_secret_open(sl_catalog *c, const char *purpose, const char *sealed, sl_arena *arena,
                     char **text, sl_error *err);

/* ---- tasks ---- */
/* A task as it is stored. Strings live in the arena. */
typedef struct sl_task_row {
    const char *id, *name, *state, *reason, *desired;
    bool started; /* something of it may be on the servers */
    int64_t spec_version;
    json_t *spec;             /* without passwords; owned by the caller: sl_task_row_free */
    const char *passwords[2]; /* sealed, or NULL; by sl_side */
} sl_task_row;
sl_rc sl_task_read(sl_catalog *c, const char *id, sl_arena *arena, sl_task_row *row, sl_error *err);
void sl_task_row_free(sl_task_row *row);

/* Stores a new task in state draft. spec is borrowed. */
sl_rc sl_task_create(sl_catalog *c, const char *id, const char *name, const json_t *spec,
                     const char *const sealed[2], const char *actor, sl_error *err);
/* A new version of its specification, if `version` is still the newest: else SL_NOT_FOUND. */
sl_rc sl_task_replace_spec(sl_catalog *c, const char *id, int64_t version, const char *name,
                           const json_t *spec, const char *const sealed[2], const char *actor,
                           sl_error *err);
sl_rc sl_task_set_passwords(sl_catalog *c, const char *id, const char *const sealed[2],
                            sl_error *err); /* NULL: keeps that side's */
sl_rc sl_task_delete(sl_catalog *c, const char *id, sl_error *err);
/* Stores a state; service/state.c decides whether it may be. desired NULL keeps it. */
sl_rc sl_task_store_state(sl_catalog *c, const char *id, const char *state, const char *reason,
                          const char *desired, sl_error *err);
sl_rc sl_task_set_started(sl_catalog *c, const char *id, bool started, sl_error *err);
sl_rc sl_task_set_error(sl_catalog *c, const char *id, const json_t *error, sl_error *err);
/* {id, name, state, reason, state_since, created_at, spec_version, spec, precheck, last_error,
 * started, desired}: what a Task of the API is made of. */
sl_rc sl_task_get(sl_catalog *c, const char *id, json_t **task, sl_error *err);
/* states: words separated by commas, or NULL; text: part of name or id, or NULL. */
sl_rc sl_task_list(sl_catalog *c, const char *states, const char *region, const char *text,
                   const sl_page *page, json_t **tasks, sl_error *err);
/* All ids with what is desired of them: [{id, desired, state, reason, started}]. */
sl_rc sl_task_desires(sl_catalog *c, json_t **tasks, sl_error *err);
/* The lowest retry_minutes among this task and the running tasks that share a server with it. */
sl_rc sl_task_least_retry(sl_catalog *c, const char *id, int64_t *minutes, sl_error *err);
/* The same of every running task: [{id, minutes}]. */
sl_rc sl_task_least_retries(sl_catalog *c, json_t **rows, sl_error *err);
sl_rc sl_task_spec_history(sl_catalog *c, const char *id, const sl_page *page, json_t **versions,
                           sl_error *err);
sl_rc sl_task_spec_version(sl_catalog *c, const char *id, int64_t version, json_t **spec,
                           sl_error *err);

/* ---- findings, events, progress ---- */
/* Replaces the findings of a task by an array of Finding objects, and its precheck summary. */
sl_rc sl_findings_store(sl_catalog *c, const char *task, const json_t *findings,
                        const json_t *summary, sl_error *err);
sl_rc sl_findings_read(sl_catalog *c, const char *task, json_t **findings, sl_error *err);

sl_rc sl_event_store(sl_catalog *c, const char *task, int64_t time_us, const char *event,
                     const json_t *fields, int64_t *id, sl_error *err);
/* Newest first; task NULL: of all; events: words separated by commas, or NULL. */
sl_rc sl_event_list(sl_catalog *c, const char *task, const char *events, const sl_page *page,
                    json_t **found, sl_error *err);
/* At most limit events with a greater id, oldest first: a plain array. */
sl_rc sl_event_after(sl_catalog *c, const char *task, int64_t id, int limit, json_t **found,
                     sl_error *err);
int64_t sl_event_last_id(sl_catalog *c);

/* Merges objects {table, state, reason, rows, …} into the task's tables: keys that are not given
 * keep their values. */
sl_rc sl_tables_store(sl_catalog *c, const char *task, const json_t *tables, sl_error *err);
/* Forgets the progress of schema.table, of all tables of a schema, or with NULL of all. */
sl_rc sl_tables_forget(sl_catalog *c, const char *task, const char *name, sl_error *err);
sl_rc sl_tables_list(sl_catalog *c, const char *task, const char *states, const char *text,
                     const sl_page *page, json_t **tables, sl_error *err);

/* One point: progress is a `progress` event. Counters are stored as differences by the caller. */
sl_rc sl_metric_store(sl_catalog *c, const char *task, int64_t time_s, const json_t *values,
                      sl_error *err);
/* The body of GET …/metrics. step in seconds, at least 10. */
/* Several at once: points is a list of {task, values}. */
sl_rc sl_metric_store_all(sl_catalog *c, int64_t time_s, const json_t *points, sl_error *err);
sl_rc sl_metric_series(sl_catalog *c, const char *task, int64_t from_s, int64_t to_s, int64_t step,
                       json_t **series, sl_error *err);

/* ---- settings ---- */
#define SL_METRICS_DAYS 90
#define SL_SESSION_HOURS 12
/* Values are JSON. SL_NOT_FOUND: not set. */
sl_rc sl_setting_read(sl_catalog *c, const char *name, json_t **value, sl_error *err);
int64_t sl_setting_number(sl_catalog *c, const char *name, int64_t standard);
sl_rc sl_setting_store(sl_catalog *c, const char *name, const json_t *value, sl_error *err);

/* A copy of the catalog in data directory dir, and its key, in the new directory `to`. The service
 * may run meanwhile. */
sl_rc sl_catalog_backup(const char *dir, const char *to, sl_error *err);

/* ---- access ---- */
typedef enum sl_role { SL_ROLE_NONE, SL_ROLE_VIEWER, SL_ROLE_OPERATOR, SL_ROLE_ADMIN } sl_role;
const char *sl_role_name(sl_role role);
sl_role sl_role_parse(const char *name); /* SL_ROLE_NONE when unknown */

typedef struct sl_who {
    char user[65];
    sl_role role;
    int64_t expires_us; /* 0: never */
} sl_who;

sl_rc sl_user_count(sl_catalog *c, int64_t *n, sl_error *err);
/* SL_USAGE when the name is taken. */
sl_rc sl_user_create(sl_catalog *c, const char *name, const char *password, sl_role role,
                     sl_error *err);
/* SL_NOT_FOUND: no such user, wrong password or disabled; it takes the same time in each case. */
sl_rc sl_user_verify(sl_catalog *c, const char *name, const char *password, sl_who *who,
                     sl_error *err);
/* role NULL, password NULL, disabled -1: unchanged. Ends the user's sessions. SL_USAGE when no
 * enabled admin would be left. */
sl_rc sl_user_change(sl_catalog *c, const char *name, const char *role, const char *password,
                     int disabled, sl_error *err);
sl_rc sl_user_delete(sl_catalog *c, const char *name, sl_error *err);
sl_rc sl_user_get(sl_catalog *c, const char *name, json_t **user, sl_error *err);
sl_rc sl_user_list(sl_catalog *c, json_t **users, sl_error *err); /* {"items": […]} */

#define SL_TOKEN_SIZE 64
/* Makes a session or token; `secret` (SL_TOKEN_SIZE) is its only copy in clear. */
sl_rc sl_session_create(sl_catalog *c, const char *user, int64_t expires_us, char *secret,
                        sl_error *err);
sl_rc sl_session_find(sl_catalog *c, const char *secret, sl_who *who, sl_error *err);
sl_rc sl_session_delete(sl_catalog *c, const char *secret, sl_error *err);
/* The token against cross-site requests that belongs to a session's secret. */
void sl_session_csrf(sl_catalog *c, const char *secret, char *csrf);
sl_rc sl_token_create(sl_catalog *c, const char *user, const char *name, sl_role role,
                      int64_t expires_us, char *secret, json_t **token, sl_error *err);
sl_rc sl_token_find(sl_catalog *c, const char *secret, sl_who *who, sl_error *err);
sl_rc sl_token_delete(sl_catalog *c, const char *id, const char *user, sl_error *err);
sl_rc sl_token_list(sl_catalog *c, const char *user, json_t **tokens, sl_error *err);

sl_rc sl_audit_store(sl_catalog *c, const char *actor, const char *address, const char *action,
                     const char *object, const char *detail, sl_error *err);
sl_rc sl_audit_list(sl_catalog *c, const char *actor, const char *object, const sl_page *page,
                    json_t **entries, sl_error *err);

/* ---- alerts ---- */
/* settings: the Contact's members that are no secrets; sealed: a JSON object of the others, or
 * NULL. A name that another contact has is SL_USAGE. */
sl_rc sl_contact_store(sl_catalog *c, const char *id, const char *name, const char *kind,
                       const json_t *settings, const char *sealed, sl_error *err);
/* By id or name: {id, name, kind, …}. *sealed is NULL without secrets; sealed may be NULL. */
sl_rc sl_contact_get(sl_catalog *c, const char *id, sl_arena *arena, json_t **contact,
                     char **sealed, sl_error *err);
sl_rc sl_contact_list(sl_catalog *c, json_t **contacts, sl_error *err); /* {"items": […]} */
/* SL_USAGE while a rule names it. */
sl_rc sl_contact_delete(sl_catalog *c, const char *id, sl_error *err);

sl_rc sl_rule_store(sl_catalog *c, const char *id, const json_t *rule, sl_error *err);
sl_rc sl_rule_get(sl_catalog *c, const char *id, json_t **rule, sl_error *err);
sl_rc sl_rule_list(sl_catalog *c, json_t **rules, sl_error *err); /* {"items": […]} */
sl_rc sl_rule_delete(sl_catalog *c, const char *id, sl_error *err);
/* {task id: the specification's `alerts`} of all tasks that have some. */
sl_rc sl_rule_of_tasks(sl_catalog *c, json_t **rules, sl_error *err);

/* Alerts that are on: [{rule, task, kind, since_us, notified_us or null, value}]. */
sl_rc sl_alert_list(sl_catalog *c, json_t **alerts, sl_error *err);
/* Stores one with the messages to send for it (an array of {contact, contact_name, event, message},
 * may be NULL), both or nothing. on false: it is over. */
sl_rc sl_alert_store(sl_catalog *c, const char *rule, const char *task, const char *kind, bool on,
                     int64_t since_us, int64_t notified_us, double value, const json_t *messages,
                     sl_error *err);

/* One message, due at next_us (0: now). rule, task, id may be NULL. */
sl_rc sl_delivery_create(sl_catalog *c, const char *contact, const char *contact_name,
                         const char *rule, const char *task, const char *event,
                         const json_t *message, int64_t next_us, int64_t *id, sl_error *err);
/* Those to be sent by now, oldest first: [{id, contact, attempts, message}]. */
sl_rc sl_delivery_due(sl_catalog *c, int limit, json_t **due, sl_error *err);
/* next_us 0: no further attempt. */
sl_rc sl_delivery_result(sl_catalog *c, int64_t id, const char *state, int attempts,
                         int64_t next_us, const char *result, sl_error *err);
sl_rc sl_delivery_message(sl_catalog *c, int64_t id, json_t **message, sl_error *err);
sl_rc sl_delivery_get(sl_catalog *c, int64_t id, json_t **delivery, sl_error *err);
sl_rc sl_delivery_list(sl_catalog *c, const char *task, const char *contact, const sl_page *page,
                       json_t **deliveries, sl_error *err);

/* ---- usage and billing ---- */
/* What a task used since the last call: adds to the day of now. series, rows, bytes: the counters
 * that its worker read (docs/events.md), from which what is new follows; series NULL: none. Once
 * only, whatever is repeated. */
typedef struct sl_usage {
    const char *task, *name, *class, *billing;
    int64_t day, running_us, retrying_us; /* day: since 1970 */
    const char *series;
    int64_t rows, bytes;
} sl_usage;
sl_rc sl_usage_add(sl_catalog *c, const sl_usage *usage, size_t n, sl_error *err);
/* The UsageReport. Days since 1970; to_day is not part of it. */
sl_rc sl_usage_report(sl_catalog *c, int64_t from_day, int64_t to_day, const char *task,
                      json_t **report, sl_error *err);
sl_rc sl_prices_get(sl_catalog *c, json_t **prices, sl_error *err);
sl_rc sl_prices_store(sl_catalog *c, const json_t *prices, const char *actor, sl_error *err);
sl_rc sl_terms_get(sl_catalog *c, json_t **terms, sl_error *err);
sl_rc sl_terms_store(sl_catalog *c, const json_t *terms, sl_error *err);
/* {kind, months, ends_at, accepted_terms}; pay_as_you_go for a task without any. */
sl_rc sl_billing_get(sl_catalog *c, const char *task, json_t **billing, sl_error *err);
/* Of all tasks: [{task, name, class, billing, ends_us}]. */
sl_rc sl_billing_terms(sl_catalog *c, json_t **terms, sl_error *err);
/* Of all subscriptions: [{task, ends_us}]. */
sl_rc sl_billing_ends(sl_catalog *c, json_t **ends, sl_error *err);
/* Stores the terms of a task, who accepted them, and for a subscription what it costs. */
sl_rc sl_billing_store(sl_catalog *c, const char *task, const char *kind, int64_t months,
                       int64_t ends_us, const char *class, const char *terms, const char *actor,
                       sl_error *err);

/* ---- connections, drafts, repeated requests ---- */
sl_rc sl_connection_store(sl_catalog *c, const char *id, const char *name, const json_t *endpoint,
                          const char *sealed, sl_error *err); /* new or replaced */
sl_rc sl_connection_get(sl_catalog *c, const char *id, sl_arena *arena, json_t **connection,
                        char **sealed, sl_error *err); /* sealed may be NULL */
sl_rc sl_connection_delete(sl_catalog *c, const char *id, sl_error *err);
/* Endpoints with has_password. */
sl_rc sl_connection_list(sl_catalog *c, const char *text, const sl_page *page, json_t **found,
                         sl_error *err);

/* Drafts belong to their user. content is sealed text. version 0 makes one, else it has to be the
 * stored version: SL_NOT_FOUND. */
sl_rc sl_draft_store(sl_catalog *c, const char *id, const char *user, const char *name,
                     const char *sealed, int64_t version, sl_error *err);
sl_rc sl_draft_get(sl_catalog *c, const char *id, const char *user, sl_arena *arena, json_t **draft,
                   char **sealed, sl_error *err);
sl_rc sl_draft_delete(sl_catalog *c, const char *id, const char *user, sl_error *err);
sl_rc sl_draft_list(sl_catalog *c, const char *user, json_t **drafts, sl_error *err);

/* The answer that a request with this key got before: {request, status, body}. */
sl_rc sl_answer_find(sl_catalog *c, const char *user, const char *key, json_t **answer,
                     sl_error *err);
sl_rc sl_answer_store(sl_catalog *c, const char *user, const char *key, const char *request,
                      int status, const json_t *body, sl_error *err);

#endif
