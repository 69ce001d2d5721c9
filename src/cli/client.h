/* client.h: what the files of the service's client share: its settings, and how answers look to
 * people. Internal to src/cli/client*.c. */
#ifndef SL_CLI_CLIENT_H
#define SL_CLI_CLIENT_H

#include <curl/curl.h>

#include "cli/cli.h"

typedef struct client {
    CURL *curl;
    struct curl_slist *headers;
    const char *url; /* of the service */
    sl_arena arena;
    char **words; /* behind the action */
    int n_words;
    bool json, force, all, csv;
    const char *role, *days, *user, *from, *to, *count; /* options */
    char csrf[80];
} client;

typedef struct client_action {
    const char *command, *name, *words, *method;
    const char *path; /* %s in it: the first words; NULL: the first word itself */
    const char *help;
    json_t *(*body)(client *c, sl_error *err);         /* or NULL */
    void (*show)(const client *c, const json_t *json); /* or NULL: a message */
    bool raw;                                          /* the answer is no JSON: shown as it is */
} client_action;
const client_action *client_find(const char *command, const char *name); /* or NULL */
/* From PGSLUICE_PASSWORD, the terminal or standard input; lives in the arena. */
char *client_ask_password(client *c, const char *what, sl_error *err);

/* A member by its path ("progress.stage") as text; "-" when there is none. */
const char *client_text(const client *c, const json_t *row, const char *key);

/* client_show.c: an answer as a table or as lines. */
void client_show_tasks(const client *c, const json_t *json);
void client_show_task(const client *c, const json_t *json);
void client_show_findings(const client *c, const json_t *json);
void client_show_tables(const client *c, const json_t *json);
void client_show_events(const client *c, const json_t *json);
void client_show_errors(const client *c, const json_t *json);
void client_show_users(const client *c, const json_t *json);
void client_show_tokens(const client *c, const json_t *json);
void client_show_alerts(const client *c, const json_t *json);
void client_show_rules(const client *c, const json_t *json);
void client_show_contacts(const client *c, const json_t *json);
void client_show_deliveries(const client *c, const json_t *json);
void client_show_report(const client *c, const json_t *json);
void client_show_rates(const client *c, const json_t *json);
void client_show_connections(const client *c, const json_t *json);
void client_show_connection(const client *c, const json_t *json);
void client_show_test(const client *c, const json_t *json);
void client_show_usage(const client *c, const json_t *json);
void client_show_classes(const client *c, const json_t *json);
void client_show_billing(const client *c, const json_t *json);
void client_show_json(const client *c, const json_t *json);
void client_show_made(const client *c, const json_t *json);
void client_show_delivery(const client *c, const json_t *json);
void client_show_token(const client *c, const json_t *json);
void client_show_message(const client *c, const json_t *json);

#endif
