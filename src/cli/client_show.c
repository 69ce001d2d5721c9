/* client_show.c: the service's answers for people: tables with a column per member, lines,
 * messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"

const char *client_text(const client *c, const json_t *row, const char *key)
{
    const json_t *value = row;
    for (const char *p = key; value && *p; p += strcspn(p, ".") + (strchr(p, '.') ? 1 : 0)) {
        char part[40];
        snprintf(part, sizeof(part), "%.*s", (int)strcspn(p, "."), p);
        value = json_object_get(value, part);
    }
    if (!value || json_is_null(value))
        return "-";
    if (json_is_string(value))
        return json_string_value(value);
    char *dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
    char *kept = sl_arena_strdup((sl_arena *)&c->arena, dumped);
    free(dumped);
    return kept;
}

/* columns: "key:width:heading" …, NULL. */
static void show_rows(const client *c, const json_t *json, const char *const *columns)
{
    const json_t *items = json_object_get(json, "items");
    size_t rows = json_array_size(items);
    for (size_t i = 0; i <= rows; i++) {
        for (int k = 0; columns[k]; k++) {
            char key[40];
            int width = 0;
            sscanf(columns[k], "%39[^:]:%d", key, &width);
            const char *text = i == 0 ? strrchr(columns[k], ':') + 1
                                      : client_text(c, json_array_get(items, i - 1), key);
            printf("%s%-*s", k ? "  " : "", columns[k + 1] ? width : 0, text);
        }
        putchar('\n');
    }
}

void client_show_tasks(const client *c, const json_t *json)
{
    static const char *const columns[] = { "id:10:id",
                                           "name:20:name",
                                           "state:14:state",
                                           "progress.lag_seconds:8:lag s",
                                           "progress.rows_per_second:8:rows/s",
                                           "reason:0:reason",
                                           NULL };
    show_rows(c, json, columns);
}

void client_show_task(const client *c, const json_t *json)
{
    static const char *const keys[] = { "id",
                                        "name",
                                        "state",
                                        "reason",
                                        "state_since",
                                        "source.host",
                                        "source.database",
                                        "destination.host",
                                        "destination.database",
                                        "progress.stage",
                                        "progress.rows_copied",
                                        "progress.lag_seconds",
                                        "progress.wal_held_bytes",
                                        "last_error.message",
                                        "actions",
                                        NULL };
    for (int i = 0; keys[i]; i++)
        printf("%-24s %s\n", keys[i], client_text(c, json, keys[i]));
}

void client_show_findings(const client *c, const json_t *json)
{
    const json_t *items = json_object_get(json, "items"), *f;
    for (size_t i = 0; i < json_array_size(items); i++) {
        f = json_array_get(items, i);
        bool ignored = json_is_true(json_object_get(f, "ignored"));
        printf("%-8s %-28s %s %s\n", ignored ? "ignored" : client_text(c, f, "result"),
               client_text(c, f, "check"), client_text(c, f, "title"), client_text(c, f, "object"));
        if (json_is_string(json_object_get(f, "cause")))
            printf("         cause:  %s\n         remedy: %s\n", client_text(c, f, "cause"),
                   client_text(c, f, "remedy"));
    }
    printf("success rate: %s %%\n", client_text(c, json, "summary.rate"));
}

void client_show_tables(const client *c, const json_t *json)
{
    static const char *const columns[] = { "table:40:table",     "state:14:state",
                                           "rows:12:rows",       "inserts:10:inserts",
                                           "updates:10:updates", "deletes:10:deletes",
                                           "reason:0:reason",    NULL };
    show_rows(c, json, columns);
}

void client_show_events(const client *c, const json_t *json)
{
    static const char *const columns[] = { "time:24:time", "event:16:event", "fields:0:", NULL };
    show_rows(c, json, columns);
}

void client_show_errors(const client *c, const json_t *json)
{
    static const char *const columns[] = { "id:6:id",
                                           "state:10:state",
                                           "operation:10:operation",
                                           "schema:12:schema",
                                           "table:20:table",
                                           "message:0:cause",
                                           NULL };
    show_rows(c, json, columns);
}

void client_show_users(const client *c, const json_t *json)
{
    static const char *const columns[] = { "name:24:name", "role:10:role", "disabled:8:disabled",
                                           "last_login_at:0:last login", NULL };
    show_rows(c, json, columns);
}

void client_show_tokens(const client *c, const json_t *json)
{
    static const char *const columns[] = { "id:10:id",     "name:24:name",         "user:16:user",
                                           "role:10:role", "expires_at:0:expires", NULL };
    show_rows(c, json, columns);
}

void client_show_alerts(const client *c, const json_t *json)
{
    static const char *const columns[] = { "kind:18:kind",   "task:16:task", "since:24:since",
                                           "value:14:value", "rule:0:rule",  NULL };
    show_rows(c, json, columns);
}

void client_show_rules(const client *c, const json_t *json)
{
    static const char *const columns[] = { "id:10:id",
                                           "name:24:name",
                                           "kind:18:kind",
                                           "threshold:12:threshold",
                                           "for_seconds:8:for s",
                                           "muted_until:24:muted until",
                                           "contacts:0:contacts",
                                           NULL };
    show_rows(c, json, columns);
}

void client_show_contacts(const client *c, const json_t *json)
{
    static const char *const columns[] = { "id:10:id", "name:24:name", "kind:10:kind",
                                           "target:0:target", NULL };
    show_rows(c, json, columns);
}

void client_show_deliveries(const client *c, const json_t *json)
{
    static const char *const columns[] = {
        "id:6:id",          "time:24:time",      "contact_name:16:contact",
        "event:10:event",   "state:10:state",    "attempts:4:tries",
        "result:24:result", "subject:0:subject", NULL
    };
    show_rows(c, json, columns);
}

void client_show_report(const client *c, const json_t *json)
{
    static const char *const columns[] = { "result:11:result", "kind:12:kind", "object:40:object",
                                           "detail:0:why", NULL };
    show_rows(c, json, columns);
}

void client_show_rates(const client *c, const json_t *json)
{
    static const char *const columns[] = { "hop:12:hop",
                                           "lsn:18:position",
                                           "bytes_per_second:12:bytes/s",
                                           "lag_bytes:12:behind",
                                           "rows_per_second:10:rows/s",
                                           "bottleneck:0:slowest",
                                           NULL };
    json_t *rows = json_pack("{s:O}", "items", json_object_get(json, "hops"));
    show_rows(c, rows, columns);
    json_decref(rows);
}

void client_show_connections(const client *c, const json_t *json)
{
    static const char *const columns[] = { "id:10:id",
                                           "name:24:name",
                                           "endpoint.user:16:user",
                                           "endpoint.database:16:database",
                                           "endpoint.host:0:host",
                                           NULL };
    show_rows(c, json, columns);
}

void client_show_connection(const client *c, const json_t *json)
{
    const char *key;
    json_t *value;
    printf("%-24s %s\n%-24s %s\n", "id", client_text(c, json, "id"), "name",
           client_text(c, json, "name"));
    json_object_foreach(json_object_get(json, "endpoint"), key, value)
        printf("%-24s %s\n", key, client_text(c, json_object_get(json, "endpoint"), key));
}

void client_show_test(const client *c, const json_t *json)
{
    static const char *const keys[] = { "reached",  "cause",    "hint",      "version",
                                        "database", "user",     "encrypted", "replication",
                                        "rights",   "warnings", NULL };
    for (int i = 0; keys[i]; i++)
        if (json_object_get(json, keys[i]))
            printf("%-12s %s\n", keys[i], client_text(c, json, keys[i]));
}

void client_show_usage(const client *c, const json_t *json)
{
    static const char *const columns[] = { "month:7:month",  "name:20:name",
                                           "class:10:class", "billing:14:billing",
                                           "hours:10:hours", "retrying_hours:10:retrying",
                                           "rows:14:rows",   "bytes:16:bytes",
                                           "price:0:price",  NULL };
    show_rows(c, json, columns);
    printf("prices in %s\n", client_text(c, json, "currency"));
}

void client_show_classes(const client *c, const json_t *json)
{
    static const char *const columns[] = { "name:10:class", "rows_per_second:10:rows/s",
                                           "workers:8:workers", "memory_bytes:0:memory", NULL };
    show_rows(c, json, columns);
}

void client_show_billing(const client *c, const json_t *json)
{
    static const char *const keys[] = { "kind", "months", "ends_at", "accepted_terms", NULL };
    for (int i = 0; keys[i]; i++)
        printf("%-16s %s\n", keys[i], client_text(c, json, keys[i]));
}

void client_show_json(const client *c, const json_t *json)
{
    (void)c;
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
}

void client_show_made(const client *c, const json_t *json)
{
    printf("%s\n", client_text(c, json, "id"));
}

void client_show_delivery(const client *c, const json_t *json)
{
    printf("%s: %s\n", client_text(c, json, "state"), client_text(c, json, "result"));
}

void client_show_token(const client *c, const json_t *json)
{
    printf("%s\n", client_text(c, json, "token"));
}

void client_show_message(const client *c, const json_t *json)
{
    const char *message = client_text(c, json, "message"), *state = client_text(c, json, "state");
    if (strcmp(message, "-") != 0)
        printf("%s\n", message);
    else if (strcmp(state, "-") != 0)
        printf("%s is %s\n", client_text(c, json, "id"), state);
    else
        printf("Done.\n");
}
