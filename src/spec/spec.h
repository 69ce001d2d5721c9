/* spec.h: a task's configuration, as the user wrote it.
 *
 * Read from YAML or JSON and checked strictly: an unknown key, a wrong type or value is refused
 * with file, line, key and what is allowed (SL_USAGE). Every key is defined once, in the table of
 * spec/keys.c, from which the checks, `pgsluice help spec` and docs/spec.md's key table come. */
#ifndef SL_SPEC_SPEC_H
#define SL_SPEC_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include "core/arena.h"
#include "core/error.h"
#include "pg/endpoint.h"

struct sl_condition;

typedef enum sl_conflict { SL_CONFLICT_REPORT, SL_CONFLICT_PROCEED } sl_conflict;
typedef enum sl_on_error { SL_ON_ERROR_STOP, SL_ON_ERROR_SET_ASIDE } sl_on_error;
typedef enum sl_keyless { SL_KEYLESS_REFUSE, SL_KEYLESS_INSERT_ONLY, SL_KEYLESS_FULL } sl_keyless;
enum { SL_STAGE_SCHEMA = 1, SL_STAGE_FULL = 2, SL_STAGE_INCREMENTAL = 4 };
enum { SL_OP_INSERT = 1, SL_OP_UPDATE = 2, SL_OP_DELETE = 4, SL_OP_TRUNCATE = 8, SL_OP_ALL = 15 };

/* A bulk rule of `names.rules`; see names.h. */
typedef enum sl_rule_of { SL_RULE_TABLES, SL_RULE_SCHEMAS, SL_RULE_COLUMNS } sl_rule_of;
typedef struct sl_spec_rule {
    sl_rule_of of;
    const char *objects;                       /* pattern, or NULL: all */
    const char *prefix, *suffix;               /* or NULL */
    const char *const *replace, *const *regex; /* pairs from, to, …, NULL; or NULL */
    void *compiled;                            /* the regular expressions, by sl_names_prepare */
    int line;
} sl_spec_rule;

/* How letters change in names of the destination. */
typedef enum sl_case { SL_CASE_SOURCE, SL_CASE_LOWER, SL_CASE_UPPER, SL_CASE_DTS } sl_case;

/* A `- table:` entry. Patterns take * and ?; the most exact entry counts. */
typedef struct sl_spec_table {
    const char *pattern;
    const char *name;           /* the only one that the pattern matches, or NULL */
    const char *rename, *where; /* or NULL */
    unsigned operations;        /* SL_OP_*; default all */
    sl_keyless keyless;         /* the task's unless given */
    const char *const *include_columns, *const *exclude_columns; /* NULL-terminated, or NULL */
    const char *const *column_renames; /* pairs from, to, …, NULL; or NULL */
    const char *merge_into, *merge_source_column, *merge_source_value; /* or NULL */
    bool exclude;                         /* these tables are left out */
    const struct sl_condition *condition; /* where, parsed; or NULL */
    int line;
} sl_spec_table;

/* A `- schema:` entry. Whole (without tables, with the pattern *, or with exclusions only): all of
 * it, and what is created in it later. */
typedef struct sl_spec_schema {
    const char *schema;
    const char *rename; /* or NULL */
    sl_spec_table *tables;
    size_t n_tables;
    bool whole;
    int line;
} sl_spec_schema;

typedef struct sl_spec {
    sl_arena arena; /* owns everything below */
    const char *file;
    const char *name, *id; /* id NULL: derived, see sl_task_id */
    sl_endpoint source, destination;
    unsigned stages; /* SL_STAGE_* */
    sl_conflict conflict;
    sl_on_error on_error;
    sl_keyless keyless;
    sl_spec_schema *schemas;
    size_t n_schemas;
    sl_case name_case;
    sl_spec_rule *rules;
    size_t n_rules;
    int retry_minutes;                  /* 10 … 1440, default 120 */
    const char *class_name;             /* of spec/classes.h; default "unlimited" */
    int workers;                        /* copiers and index builders; 0: chosen by the task */
    const char *publication;            /* one that the tables' owner made, or NULL */
    const char *state_schema;           /* default "pgsluice" */
    const char *decoder;                /* NULL: chosen */
    const char *const *precheck_ignore; /* "check@object" …, NULL-terminated */
    bool include_privileges;
    bool collisions_are_shown; /* no key: set by whoever marks names given twice (plan --names) */
} sl_spec;

/* Reads a file ("-": standard input). Passwords are read from where the spec says. */
sl_rc sl_spec_read(const char *file, sl_spec **spec, sl_error *err);
/* The same from memory; file is used in messages. For tests and fuzzers. */
sl_rc sl_spec_parse(const char *text, size_t len, const char *file, sl_spec **spec, sl_error *err);
void sl_spec_free(sl_spec *spec);

/* The task's id: the spec's, or ten characters of a hash of name, source system id and database,
 * destination system id and database. Editing objects does not change it. buf of 17 bytes. */
char *sl_task_id(const sl_spec *spec, const char *source_system_id, const char *source_database,
                 const char *destination_system_id, const char *destination_database, char *buf);

/* Prints the reference of all keys (for `pgsluice help spec` and the docs). */
void sl_spec_help(void (*out)(void *self, const char *text), void *self);

#endif
