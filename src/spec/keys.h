/* keys.h: the one definition of a specification's keys.
 *
 * Every key is one row of sl_keys: where it may stand, what it takes, its default, where it is
 * stored and what it means. The reader (read.c), `pgsluice help spec` and the table of docs/spec.md
 * come from these rows, so that they cannot disagree. */
#ifndef SL_SPEC_KEYS_H
#define SL_SPEC_KEYS_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

/* Which map a key stands in. */
typedef enum sl_scope {
    SL_SCOPE_NONE,
    SL_SCOPE_TASK,
    SL_SCOPE_ENDPOINT, /* source, destination: an sl_endpoint */
    SL_SCOPE_SSL,      /* the same sl_endpoint */
    SL_SCOPE_SSH,
    SL_SCOPE_NAMES,
    SL_SCOPE_RULE,
    SL_SCOPE_SCHEMA, /* an entry of objects: an sl_spec_schema */
    SL_SCOPE_TABLE,  /* an entry of tables: an sl_spec_table */
    SL_SCOPE_COLUMNS,
    SL_SCOPE_MERGE,
    SL_SCOPE_PRECHECK,
    SL_SCOPE_ALERTS,
    SL_SCOPE_END,
} sl_scope;

/* What a key takes, and as what it is stored. */
typedef enum sl_value {
    SL_VALUE_TEXT,      /* const char *: any text that is not empty */
    SL_VALUE_NAME,      /* const char *: a PostgreSQL name, 1 to 63 bytes */
    SL_VALUE_PATTERN,   /* const char *: a name in which * and ? stand for others */
    SL_VALUE_ID,        /* const char *: [a-z0-9]{8,16} */
    SL_VALUE_PORT,      /* const char *: 1 … 65535, or one per host separated by commas */
    SL_VALUE_PATH,      /* const char *: a leading ~/ is the home directory */
    SL_VALUE_DIRECTORY, /* const char *: absolute */
    SL_VALUE_CHOICE,    /* const char *: one of words */
    SL_VALUE_INT,       /* int: min … max */
    SL_VALUE_BYTES,     /* int64_t: min … max */
    SL_VALUE_BOOL,      /* bool: true or false */
    SL_VALUE_ENUM,      /* int-sized enum: one of words */
    SL_VALUE_FLAGS,     /* unsigned: a list of words, or-ed */
    SL_VALUE_TEXTS,     /* const char *const *: a list of texts, NULL-terminated */
    SL_VALUE_CHECKS,    /* the same, each check or check@object */
    SL_VALUE_PAIRS,     /* const char *const *: a map of names to names, as from, to, …, NULL */
    SL_VALUE_CHANGES,   /* the same; what a text is changed to may be empty */
    SL_VALUE_MAP,       /* the child scope, stored in the struct at offset */
    SL_VALUE_MAPS,      /* a list of the child scope: pointer at offset, size_t count at count */
    SL_VALUE_PASSWORD,  /* const char * at offset, by one of four ways */
    SL_VALUE_PASSWORD_FILE,
    SL_VALUE_PASSWORD_ENV,
    SL_VALUE_PASSWORD_CREDENTIAL,
    SL_VALUE_END,
} sl_value;

typedef struct sl_word {
    const char *word; /* NULL ends the list */
    int value;
} sl_word;

enum {
    SL_KEY_REQUIRED = 1,
    SL_KEY_DESTINATION = 2, /* of an endpoint: of the destination only */
    SL_KEY_SERVICE =
        4, /* for tasks of the service only, which takes it out before a worker sees it */
};

#define SL_KEY_NOT_STORED SIZE_MAX

typedef struct sl_key {
    sl_scope scope;
    const char *name;
    sl_value value;
    size_t offset;        /* into the scope's struct */
    const sl_word *words; /* CHOICE, ENUM, FLAGS */
    int64_t min, max;     /* INT, BYTES */
    sl_scope child;       /* MAP, MAPS */
    size_t count;         /* MAPS */
    unsigned flags;
    const char *standard; /* the default, read like a value; in parentheses: only described */
    /* Not honoured yet: NULL for keys that are; else the one value that is taken meanwhile, or ""
     * when the key is refused whatever its value (also for SL_KEY_SERVICE). */
    const char *until;
    const char *help;
} sl_key;

extern const sl_key sl_keys[]; /* in the order of the documentation; scope SL_SCOPE_NONE ends it */

const sl_key *sl_key_find(sl_scope scope, const char *name, bool destination);
/* Does this row of the scope apply to that endpoint? */
bool sl_key_applies(const sl_key *key, bool destination);
/* "text", "true or false", "10 … 1440", "report, proceed": what a key takes. buf of at least 160
 * bytes; returns buf. */
char *sl_key_takes(const sl_key *key, char *buf);

#endif
