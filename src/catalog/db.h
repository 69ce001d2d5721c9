/* db.h: statements of the catalog on SQLite. Internal to src/catalog.
 *
 * Parameters are given as a string of types and the values: s text (NULL is NULL), i int64_t, d
 * double, j json_t * (as text, NULL is NULL). Columns become JSON members by their names: t:name a
 * time in microseconds as text, j:name JSON text parsed, b:name a boolean; others by SQLite's type.
 */
#ifndef SL_CATALOG_DB_H
#define SL_CATALOG_DB_H

#include <pthread.h>
#include <sodium.h>
#include <sqlite3.h>
#include "catalog/catalog.h"

#define SL_STATEMENTS 48
typedef struct sl_statement {
    const char *sql; /* as it was given; a literal as a rule */
    sqlite3_stmt *statement;
    uint64_t used;
    bool busy;
} sl_statement;

struct sl_catalog {
    sqlite3 *db;
    sl_statement statements[SL_STATEMENTS]; /* prepared, for the next time */
    uint64_t statements_used;
    pthread_mutex_t lock;    /* recursive: functions use each other */
    pthread_mutex_t hashing; /* one password at a time: each takes 64 MiB */
    unsigned char key[crypto_secretbox_KEYBYTES];
    int lock_fd;
};

void sl_db_lock(sl_catalog *c);
void sl_db_unlock(sl_catalog **c);
/* Holds the catalog's lock to the end of the scope. */
#define SL_DB_LOCKED(c)                                                                            \
    __attribute__((cleanup(sl_db_unlock))) sl_catalog *locked_ = (sl_db_lock(c), (c))

/* Runs a statement without rows; *changes (may be NULL) is the number of rows it touched. */
sl_rc sl_db_run(sl_catalog *c, int *changes, sl_error *err, const char *sql, const char *types,
                ...);
/* Rows as an array of objects. */
sl_rc sl_db_rows(sl_catalog *c, json_t **rows, sl_error *err, const char *sql, const char *types,
                 ...);
/* The first row as an object; SL_NOT_FOUND without one. */
sl_rc sl_db_row(sl_catalog *c, json_t **row, sl_error *err, const char *sql, const char *types,
                ...);
sl_rc sl_db_exec(sl_catalog *c, const char *sql, sl_error *err);
/* Begin; sl_db_end commits when rc is SL_OK, else rolls back, and returns the outcome. */
sl_rc sl_db_begin(sl_catalog *c, sl_error *err);
sl_rc sl_db_end(sl_catalog *c, sl_rc rc, sl_error *err);
sl_rc sl_db_fail(sl_catalog *c, int code, const char *what, sl_error *err);
sl_rc sl_db_migrate(sl_catalog *c, sl_error *err);

/* Does a list of words separated by commas, ?N, contain the column? NULL: yes. */
#define IN_WORDS(column, n)                                                                        \
    "(?" #n " IS NULL OR instr(',' || ?" #n " || ',', ',' || " column " || ',') > 0)"
#define HAS_TEXT(column, n) "(?" #n " IS NULL OR instr(lower(" column "), lower(?" #n ")) > 0)"

/* rows (stolen; one more than limit when there are more) to a page; key: the member that the cursor
 * is made of. */
json_t *sl_db_page(json_t *rows, const sl_page *page, const char *key);
/* A cursor's text ("" without one). */
sl_rc sl_db_cursor(const sl_page *page, sl_arena *arena, const char **text, sl_error *err);
sl_rc sl_db_cursor_number(const sl_page *page, int64_t *number, sl_error *err);

#endif
