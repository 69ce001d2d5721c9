/* keys.c: the table of keys, and its printed form.
 *
 * To add a key: one row here, in its scope; a field in spec.h; scripts/docs-spec for docs/spec.md.
 * A key that is named here before it is honoured has `until` set and is refused by name. */
#include "spec/keys.h"

#include <stdio.h>
#include <string.h>
#include "spec/spec.h"

static const sl_word conflicts[] = {
    { "report", SL_CONFLICT_REPORT },
    { "proceed", SL_CONFLICT_PROCEED },
    { NULL, 0 },
};
static const sl_word on_errors[] = {
    { "stop", SL_ON_ERROR_STOP },
    { "set_aside", SL_ON_ERROR_SET_ASIDE },
    { NULL, 0 },
};
static const sl_word keyless[] = {
    { "refuse", SL_KEYLESS_REFUSE },
    { "insert_only", SL_KEYLESS_INSERT_ONLY },
    { "full", SL_KEYLESS_FULL },
    { NULL, 0 },
};
static const sl_word stages[] = {
    { "schema", SL_STAGE_SCHEMA },
    { "full", SL_STAGE_FULL },
    { "incremental", SL_STAGE_INCREMENTAL },
    { NULL, 0 },
};
static const sl_word operations[] = {
    { "insert", SL_OP_INSERT },
    { "update", SL_OP_UPDATE },
    { "delete", SL_OP_DELETE },
    { "truncate", SL_OP_TRUNCATE },
    { NULL, 0 },
};
static const sl_word ssl_modes[] = {
    { "disable", 0 },   { "allow", 0 },       { "prefer", 0 }, { "require", 0 },
    { "verify-ca", 0 }, { "verify-full", 0 }, { NULL, 0 },
};
static const sl_word session_attrs[] = {
    { "any", 0 },     { "read-write", 0 },     { "read-only", 0 }, { "primary", 0 },
    { "standby", 0 }, { "prefer-standby", 0 }, { NULL, 0 },
};
static const sl_word cases[] = {
    { "source", SL_CASE_SOURCE },
    { "lower", SL_CASE_LOWER },
    { "upper", SL_CASE_UPPER },
    { "dts", SL_CASE_DTS },
    { NULL, 0 },
};
static const sl_word rule_of[] = {
    { "tables", SL_RULE_TABLES },
    { "schemas", SL_RULE_SCHEMAS },
    { "columns", SL_RULE_COLUMNS },
    { NULL, 0 },
};
static const sl_word decoders[] = {
    { "pgoutput", 0 },
    { "pgsluice", 0 },
    { "test_decoding", 0 },
    { NULL, 0 },
};
static const sl_word classes[] = {
    { "micro", 0 },   { "small", 0 },   { "medium", 0 },    { "large", 0 }, { "xlarge", 0 },
    { "2xlarge", 0 }, { "4xlarge", 0 }, { "unlimited", 0 }, { NULL, 0 },
};

#define AT(type, field) .offset = offsetof(type, field)
#define TASK(field) AT(sl_spec, field)
#define ENDPOINT(field) AT(sl_endpoint, field)
#define TABLE(field) AT(sl_spec_table, field)
#define RULE(field) AT(sl_spec_rule, field)
#define NOWHERE .offset = SL_KEY_NOT_STORED

/* clang-format off */
const sl_key sl_keys[] = {
    { SL_SCOPE_TASK, "name", SL_VALUE_TEXT, TASK(name), .flags = SL_KEY_REQUIRED,
      .help = "what the task is called; part of what its id is derived from" },
    { SL_SCOPE_TASK, "id", SL_VALUE_ID, TASK(id), .standard = "(derived from the name, both servers and databases)",
      .help = "names the task's slot, publications and state; give it to keep them when the name, a server or a database changes" },
    { SL_SCOPE_TASK, "source", SL_VALUE_MAP, TASK(source), .child = SL_SCOPE_ENDPOINT, .flags = SL_KEY_REQUIRED,
      .help = "the database to read from" },
    { SL_SCOPE_TASK, "destination", SL_VALUE_MAP, TASK(destination), .child = SL_SCOPE_ENDPOINT, .flags = SL_KEY_REQUIRED,
      .help = "the database to write to; takes the same keys as source, and free_bytes" },
    { SL_SCOPE_TASK, "stages", SL_VALUE_FLAGS, TASK(stages), .words = stages, .standard = "schema, full, incremental",
      .help = "what to do; without schema the tables must exist in the destination" },
    { SL_SCOPE_TASK, "objects", SL_VALUE_MAPS, TASK(schemas), .child = SL_SCOPE_SCHEMA, .count = offsetof(sl_spec, n_schemas), .flags = SL_KEY_REQUIRED,
      .help = "the schemas and tables to synchronize" },
    { SL_SCOPE_TASK, "conflict", SL_VALUE_ENUM, TASK(conflict), .words = conflicts, .standard = "report",
      .help = "tables and rows that are already there: report stops, proceed keeps rows in the copy and overwrites them in the stream" },
    { SL_SCOPE_TASK, "on_error", SL_VALUE_ENUM, TASK(on_error), .words = on_errors, .standard = "stop",
      .help = "a change that cannot be applied: stop the task, or set it aside in the destination's error list and go on" },
    { SL_SCOPE_TASK, "keyless", SL_VALUE_ENUM, TASK(keyless), .words = keyless, .standard = "refuse",
      .help = "tables without row identity: refuse in the precheck, insert_only, or full (REPLICA IDENTITY FULL, set where the role owns the table)" },
    { SL_SCOPE_TASK, "names", SL_VALUE_MAP, .offset = 0, .child = SL_SCOPE_NAMES,
      .help = "how names change on the way" },
    { SL_SCOPE_TASK, "publication", SL_VALUE_NAME, TASK(publication), .standard = "(made by the task)",
      .help = "a publication on the source that the tables' owner made, where the role may not make one" },
    { SL_SCOPE_TASK, "state_schema", SL_VALUE_NAME, TASK(state_schema), .standard = "pgsluice",
      .help = "the schema in the destination that holds the task's state; created if it is missing" },
    { SL_SCOPE_TASK, "decoder", SL_VALUE_CHOICE, TASK(decoder), .words = decoders, .standard = "(the first of them that the source has and allows)",
      .help = "the output plugin of the slot: pgoutput (10 and newer), pgsluice (pgsluice_decoding, to be installed on the source: decoding/README.md), or test_decoding" },
    { SL_SCOPE_TASK, "workers", SL_VALUE_INT, TASK(workers), .min = 1, .max = 64, .standard = "(chosen by the task)",
      .help = "tables, parts and indexes worked on at the same time during the copy" },
    { SL_SCOPE_TASK, "retry_minutes", SL_VALUE_INT, TASK(retry_minutes), .min = 10, .max = 1440, .standard = "120",
      .help = "how long lost connections are tried again before the task fails" },
    { SL_SCOPE_TASK, "class", SL_VALUE_CHOICE, TASK(class_name), .words = classes, .standard = "unlimited",
      .help = "how much the task may take: rows per second, workers, memory: docs/classes.md" },
    { SL_SCOPE_TASK, "include_privileges", SL_VALUE_BOOL, TASK(include_privileges), .standard = "false",
      .help = "whether GRANTs are carried over with the schema" },
    { SL_SCOPE_TASK, "precheck", SL_VALUE_MAP, .offset = 0, .child = SL_SCOPE_PRECHECK,
      .help = "what to leave out of account" },
    { SL_SCOPE_TASK, "alerts", SL_VALUE_MAP, .offset = 0, .child = SL_SCOPE_ALERTS, .until = "", .flags = SL_KEY_SERVICE,
      .help = "when to tell whom; rules for many tasks are the service's: docs/alerts.md" },

    { SL_SCOPE_ENDPOINT, "host", SL_VALUE_TEXT, ENDPOINT(host),
      .help = "name or address; several separated by commas are tried in turn; this or socket is required" },
    { SL_SCOPE_ENDPOINT, "port", SL_VALUE_PORT, ENDPOINT(port), .standard = "5432",
      .help = "one, or one per host separated by commas" },
    { SL_SCOPE_ENDPOINT, "socket", SL_VALUE_DIRECTORY, ENDPOINT(socket),
      .help = "directory of a Unix socket, in place of host" },
    { SL_SCOPE_ENDPOINT, "database", SL_VALUE_NAME, ENDPOINT(database), .flags = SL_KEY_REQUIRED,
      .help = "database to connect to" },
    { SL_SCOPE_ENDPOINT, "user", SL_VALUE_NAME, ENDPOINT(user), .flags = SL_KEY_REQUIRED,
      .help = "role to connect as" },
    { SL_SCOPE_ENDPOINT, "password_file", SL_VALUE_PASSWORD_FILE, ENDPOINT(password),
      .help = "file that holds the password; one newline at its end does not count" },
    { SL_SCOPE_ENDPOINT, "password_env", SL_VALUE_PASSWORD_ENV, ENDPOINT(password),
      .help = "environment variable that holds the password" },
    { SL_SCOPE_ENDPOINT, "password_credential", SL_VALUE_PASSWORD_CREDENTIAL, ENDPOINT(password),
      .help = "systemd credential (LoadCredential=) that holds the password" },
    { SL_SCOPE_ENDPOINT, "password", SL_VALUE_PASSWORD, ENDPOINT(password),
      .help = "the password itself; discouraged, since a file is easily shown or committed" },
    { SL_SCOPE_ENDPOINT, "target_session_attrs", SL_VALUE_CHOICE, ENDPOINT(target_session_attrs), .words = session_attrs, .standard = "(libpq's: any)",
      .help = "which of several hosts will do" },
    { SL_SCOPE_ENDPOINT, "ssl", SL_VALUE_MAP, .offset = 0, .child = SL_SCOPE_SSL,
      .help = "encryption of the connection" },
    { SL_SCOPE_ENDPOINT, "ssh", SL_VALUE_MAP, .offset = 0, .child = SL_SCOPE_SSH,
      .help = "reach the server through an SSH tunnel; host and port, or socket, are then as that host sees them" },
    { SL_SCOPE_ENDPOINT, "region", SL_VALUE_TEXT, ENDPOINT(region),
      .help = "a label, shown with the task" },
    { SL_SCOPE_ENDPOINT, "free_bytes", SL_VALUE_BYTES, ENDPOINT(free_bytes), .min = 0, .max = INT64_MAX, .flags = SL_KEY_DESTINATION, .standard = "(not known)",
      .help = "free space on the destination's disk, where it cannot be measured" },

    { SL_SCOPE_SSL, "mode", SL_VALUE_CHOICE, ENDPOINT(ssl_mode), .words = ssl_modes, .standard = "(libpq's: prefer)",
      .help = "libpq's sslmode; verify-full checks the server's name too" },
    { SL_SCOPE_SSL, "root_cert", SL_VALUE_PATH, ENDPOINT(ssl_root_cert), .standard = "(libpq's: ~/.postgresql/root.crt)",
      .help = "certificates that the server's must be signed by" },
    { SL_SCOPE_SSL, "cert", SL_VALUE_PATH, ENDPOINT(ssl_cert), .standard = "(libpq's: ~/.postgresql/postgresql.crt)",
      .help = "our client certificate" },
    { SL_SCOPE_SSL, "key", SL_VALUE_PATH, ENDPOINT(ssl_key), .standard = "(libpq's: ~/.postgresql/postgresql.key)",
      .help = "the client certificate's key, readable by its owner only" },
    { SL_SCOPE_SSL, "crl", SL_VALUE_PATH, ENDPOINT(ssl_crl), .standard = "(libpq's: ~/.postgresql/root.crl)",
      .help = "certificates that are no longer valid" },

    { SL_SCOPE_SSH, "host", SL_VALUE_TEXT, ENDPOINT(ssh_host), .flags = SL_KEY_REQUIRED,
      .help = "host to go through, or its name in ~/.ssh/config" },
    { SL_SCOPE_SSH, "port", SL_VALUE_PORT, ENDPOINT(ssh_port), .standard = "(ssh's: 22)",
      .help = "its SSH port" },
    { SL_SCOPE_SSH, "user", SL_VALUE_TEXT, ENDPOINT(ssh_user), .standard = "(ssh's: the account's own name)",
      .help = "account on it" },
    { SL_SCOPE_SSH, "key_file", SL_VALUE_PATH, ENDPOINT(ssh_key_file), .standard = "(ssh's: ~/.ssh/id_ed25519 and others, an agent)",
      .help = "private key without a passphrase" },
    { SL_SCOPE_SSH, "known_hosts", SL_VALUE_PATH, ENDPOINT(ssh_known_hosts), .standard = "(ssh's: ~/.ssh/known_hosts)",
      .help = "file with the host's key, which has to be known" },

    { SL_SCOPE_NAMES, "case", SL_VALUE_ENUM, TASK(name_case), .words = cases, .standard = "source",
      .help = "case of names in the destination: as on the source; lower or upper: schemas, tables, columns and what belongs to them; dts: schemas and tables lower, columns as on the source" },
    { SL_SCOPE_NAMES, "rules", SL_VALUE_MAPS, TASK(rules), .child = SL_SCOPE_RULE, .count = offsetof(sl_spec, n_rules),
      .help = "changes of many names at once, one after the other; a rename of its own comes before them" },
    { SL_SCOPE_RULE, "of", SL_VALUE_ENUM, RULE(of), .words = rule_of, .standard = "tables",
      .help = "whose names: tables (and views and sequences), schemas, or columns" },
    { SL_SCOPE_RULE, "objects", SL_VALUE_PATTERN, RULE(objects), .standard = "(all)",
      .help = "which: a pattern schema.table, for columns schema.table.column, for schemas a pattern of schemas; a part with a dot is written in double quotes" },
    { SL_SCOPE_RULE, "prefix", SL_VALUE_TEXT, RULE(prefix), .help = "put before the name" },
    { SL_SCOPE_RULE, "suffix", SL_VALUE_TEXT, RULE(suffix), .help = "put after the name" },
    { SL_SCOPE_RULE, "replace", SL_VALUE_CHANGES, RULE(replace),
      .help = "texts in the name, each with what takes its place" },
    { SL_SCOPE_RULE, "regex", SL_VALUE_CHANGES, RULE(regex),
      .help = "extended regular expressions, each with what takes the place of every match; \\1 to \\9 are its groups" },

    { SL_SCOPE_SCHEMA, "schema", SL_VALUE_NAME, AT(sl_spec_schema, schema), .flags = SL_KEY_REQUIRED,
      .help = "a schema of the source" },
    { SL_SCOPE_SCHEMA, "rename", SL_VALUE_NAME, AT(sl_spec_schema, rename),
      .help = "its name in the destination" },
    { SL_SCOPE_SCHEMA, "tables", SL_VALUE_MAPS, AT(sl_spec_schema, tables), .child = SL_SCOPE_TABLE, .count = offsetof(sl_spec_schema, n_tables), .standard = "(the whole schema)",
      .help = "its tables; without this key all of them, and those created later" },

    { SL_SCOPE_TABLE, "table", SL_VALUE_PATTERN, TABLE(pattern), .flags = SL_KEY_REQUIRED,
      .help = "a table, or a pattern with * and ?; where several match, the most exact entry counts; a partitioned table brings its partitions" },
    { SL_SCOPE_TABLE, "exclude", SL_VALUE_BOOL, TABLE(exclude), .standard = "false",
      .help = "leave these tables out; with such entries only, the rest of the schema is selected whole" },
    { SL_SCOPE_TABLE, "rename", SL_VALUE_NAME, TABLE(rename),
      .help = "its name in the destination; not with a pattern" },
    { SL_SCOPE_TABLE, "where", SL_VALUE_TEXT, TABLE(where),
      .help = "SQL condition on the source's rows: only those that match are synchronized; docs/filters.md" },
    { SL_SCOPE_TABLE, "operations", SL_VALUE_FLAGS, TABLE(operations), .words = operations, .standard = "insert, update, delete, truncate",
      .help = "which changes are applied" },
    { SL_SCOPE_TABLE, "keyless", SL_VALUE_ENUM, TABLE(keyless), .words = keyless, .standard = "(the task's)",
      .help = "as the task's key of that name, for these tables" },
    { SL_SCOPE_TABLE, "columns", SL_VALUE_MAP, .offset = 0, .child = SL_SCOPE_COLUMNS,
      .help = "which columns, under which names" },
    { SL_SCOPE_TABLE, "merge", SL_VALUE_MAP, .offset = 0, .child = SL_SCOPE_MERGE,
      .help = "write into a table that other sources share: as a partition of it; docs/topologies.md" },

    { SL_SCOPE_COLUMNS, "include", SL_VALUE_TEXTS, TABLE(include_columns), .help = "only these" },
    { SL_SCOPE_COLUMNS, "exclude", SL_VALUE_TEXTS, TABLE(exclude_columns), .help = "all but these" },
    { SL_SCOPE_COLUMNS, "rename", SL_VALUE_PAIRS, TABLE(column_renames), .help = "names in the destination" },
    { SL_SCOPE_MERGE, "into", SL_VALUE_TEXT, TABLE(merge_into), .flags = SL_KEY_REQUIRED,
      .help = "the shared table, schema.table or a table in the schema that this one would be in; created if it is missing; a part with a dot is written in double quotes" },
    { SL_SCOPE_MERGE, "source_column", SL_VALUE_NAME, TABLE(merge_source_column), .flags = SL_KEY_REQUIRED,
      .help = "its column that tells the sources apart, part of its key" },
    { SL_SCOPE_MERGE, "source_value", SL_VALUE_TEXT, TABLE(merge_source_value), .standard = "(the task's name)",
      .help = "what that column says for this source" },

    { SL_SCOPE_PRECHECK, "ignore", SL_VALUE_CHECKS, TASK(precheck_ignore),
      .help = "findings that shall not hold the task up: check, or check@object" },

    { SL_SCOPE_ALERTS, "on_failure", SL_VALUE_BOOL, NOWHERE, .until = "", .flags = SL_KEY_SERVICE, .standard = "true",
      .help = "when the task fails" },
    { SL_SCOPE_ALERTS, "lag_seconds", SL_VALUE_INT, NOWHERE, .min = 1, .max = 31536000, .until = "", .flags = SL_KEY_SERVICE, .standard = "(never)",
      .help = "when the destination is that far behind" },
    { SL_SCOPE_ALERTS, "contacts", SL_VALUE_TEXTS, NOWHERE, .until = "", .flags = SL_KEY_SERVICE,
      .help = "whom to tell: names or ids of the service's contacts" },

    { .scope = SL_SCOPE_NONE },
};
/* clang-format on */

bool sl_key_applies(const sl_key *key, bool destination)
{
    return destination || !(key->flags & SL_KEY_DESTINATION);
}

const sl_key *sl_key_find(sl_scope scope, const char *name, bool destination)
{
    for (const sl_key *key = sl_keys; key->scope != SL_SCOPE_NONE; key++)
        if (key->scope == scope && sl_key_applies(key, destination) && strcmp(key->name, name) == 0)
            return key;
    return NULL;
}

char *sl_key_takes(const sl_key *key, char *buf)
{
    static const char *const takes[SL_VALUE_END] = {
        [SL_VALUE_TEXT] = "text",
        [SL_VALUE_NAME] = "name (at most 63 bytes)",
        [SL_VALUE_PATTERN] = "name or pattern",
        [SL_VALUE_ID] = "8 to 16 of a-z, 0-9",
        [SL_VALUE_PORT] = "1 to 65535, or a list",
        [SL_VALUE_PATH] = "path",
        [SL_VALUE_DIRECTORY] = "absolute path",
        [SL_VALUE_BOOL] = "true, false",
        [SL_VALUE_TEXTS] = "list of texts",
        [SL_VALUE_CHECKS] = "list of check or check@object",
        [SL_VALUE_PAIRS] = "map of names",
        [SL_VALUE_CHANGES] = "map of texts",
        [SL_VALUE_MAP] = "map",
        [SL_VALUE_MAPS] = "list of maps",
        [SL_VALUE_PASSWORD] = "text",
        [SL_VALUE_PASSWORD_FILE] = "path",
        [SL_VALUE_PASSWORD_ENV] = "name",
        [SL_VALUE_PASSWORD_CREDENTIAL] = "name",
    };
    if (takes[key->value]) {
        snprintf(buf, 160, "%s", takes[key->value]);
    } else if (key->words) {
        size_t n = (size_t)snprintf(buf, 160, "%s", key->value == SL_VALUE_FLAGS ? "list of " : "");
        for (const sl_word *w = key->words; w->word && n < 160; w++)
            n += (size_t)snprintf(buf + n, 160 - n, "%s%s", w == key->words ? "" : ", ", w->word);
    } else if (key->max == INT64_MAX) {
        snprintf(buf, 160, "number from %lld", (long long)key->min);
    } else {
        snprintf(buf, 160, "number, %lld to %lld", (long long)key->min, (long long)key->max);
    }
    return buf;
}

typedef struct printer {
    void (*out)(void *self, const char *text);
    void *self;
} printer;

/* The help text, wrapped and indented. */
static void print_wrapped(const printer *p, const char *text)
{
    enum { INDENT = 4, WIDTH = 96 };
    while (*text) {
        size_t n = strlen(text);
        if (n > WIDTH - INDENT) {
            n = WIDTH - INDENT;
            while (n > 0 && text[n] != ' ')
                n--;
        }
        char line[WIDTH + 8];
        snprintf(line, sizeof(line), "%*s%.*s\n", INDENT, "", (int)n, text);
        p->out(p->self, line);
        text += n;
        text += strspn(text, " ");
    }
}

static void print_key(const printer *p, const sl_key *key, const char *path)
{
    char takes[160], line[512], help[512];
    snprintf(line, sizeof(line), "%s%s: %s\n", path,
             key->flags & SL_KEY_REQUIRED ? " (required)" : "", sl_key_takes(key, takes));
    p->out(p->self, line);
    size_t n = (size_t)snprintf(help, sizeof(help), "%s.", key->help);
    if (key->standard) {
        bool described = key->standard[0] == '(';
        n +=
            (size_t)snprintf(help + n, sizeof(help) - n, " Default: %.*s.",
                             (int)strlen(key->standard) - 2 * described, key->standard + described);
    }
    if (key->flags & SL_KEY_SERVICE)
        snprintf(help + n, sizeof(help) - n, " Only for tasks of the service.");
    else if (key->until && key->until[0])
        snprintf(help + n, sizeof(help) - n, " Not supported yet: others than %s.", key->until);
    else if (key->until)
        snprintf(help + n, sizeof(help) - n, " Not supported yet.");
    print_wrapped(p, help);
}

static void print_scope(const printer *p, sl_scope scope, const char *prefix, bool destination)
{
    for (const sl_key *key = sl_keys; key->scope != SL_SCOPE_NONE; key++) {
        /* The destination's keys are the source's, but for its own. */
        if (key->scope != scope || (destination && !(key->flags & SL_KEY_DESTINATION)) ||
            !sl_key_applies(key, destination))
            continue;
        char path[128];
        snprintf(path, sizeof(path), "%s%s%s", prefix, prefix[0] ? "." : "", key->name);
        print_key(p, key, path);
        if (key->value == SL_VALUE_MAPS)
            strncat(path, "[]", sizeof(path) - strlen(path) - 1);
        if (key->value == SL_VALUE_MAP || key->value == SL_VALUE_MAPS)
            print_scope(p, key->child, path, strcmp(path, "destination") == 0);
    }
}

void sl_spec_help(void (*out)(void *self, const char *text), void *self)
{
    printer p = { out, self };
    print_scope(&p, SL_SCOPE_TASK, "", false);
}
