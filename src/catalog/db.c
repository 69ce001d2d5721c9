/* db.c: SQLite under the catalog: opening, statements, rows as JSON, pages. */
#include "catalog/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"

void sl_db_lock(sl_catalog *c)
{
    pthread_mutex_lock(&c->lock);
}

void sl_db_unlock(sl_catalog **c)
{
    pthread_mutex_unlock(&(*c)->lock);
}

sl_rc sl_db_fail(sl_catalog *c, int code, const char *what, sl_error *err)
{
    int primary = code & 0xff;
    bool passing = primary == SQLITE_FULL || primary == SQLITE_BUSY || primary == SQLITE_IOERR ||
                   primary == SQLITE_READONLY;
    sl_fail(err, passing ? SL_TRANSIENT : SL_FAILED, "the catalog could not be used (%s): %s", what,
            sqlite3_errmsg(c->db));
    if (primary == SQLITE_FULL || primary == SQLITE_IOERR)
        return sl_hint(err, "Make room on the disk of the data directory; tasks go on meanwhile.");
    return err ? err->code : SL_FAILED;
}

sl_rc sl_db_exec(sl_catalog *c, const char *sql, sl_error *err)
{
    int code = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? SL_OK : sl_db_fail(c, code, sql, err);
}

sl_rc sl_db_begin(sl_catalog *c, sl_error *err)
{
    return sl_db_exec(c, "BEGIN IMMEDIATE", err);
}

sl_rc sl_db_end(sl_catalog *c, sl_rc rc, sl_error *err)
{
    if (rc == SL_OK)
        rc = sl_db_exec(c, "COMMIT", err);
    if (rc != SL_OK && !sqlite3_get_autocommit(c->db))
        sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

/* ---- statements ---- */

static int bind_json(sqlite3_stmt *statement, int i, json_t *value)
{
    if (!value)
        return sqlite3_bind_null(statement, i);
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    return sqlite3_bind_text(statement, i, text, -1, free);
}

static int bind(sqlite3_stmt *statement, const char *types, va_list values)
{
    int code = SQLITE_OK;
    for (int i = 1; *types && code == SQLITE_OK; types++, i++) {
        const char *text;
        switch (*types) {
        case 's':
            text = va_arg(values, const char *);
            code = text ? sqlite3_bind_text(statement, i, text, -1, SQLITE_TRANSIENT)
                        : sqlite3_bind_null(statement, i);
            break;
        case 'i':
            code = sqlite3_bind_int64(statement, i, va_arg(values, int64_t));
            break;
        case 'd':
            code = sqlite3_bind_double(statement, i, va_arg(values, double));
            break;
        default:
            code = bind_json(statement, i, va_arg(values, json_t *));
        }
    }
    return code;
}

static json_t *column_value(sqlite3_stmt *statement, int i, char kind)
{
    char text[32];
    if (sqlite3_column_type(statement, i) == SQLITE_NULL)
        return json_null();
    if (kind == 't')
        return json_string(sl_time_text(sqlite3_column_int64(statement, i), text));
    if (kind == 'b')
        return json_boolean(sqlite3_column_int(statement, i));
    if (sqlite3_column_type(statement, i) == SQLITE_INTEGER)
        return json_integer(sqlite3_column_int64(statement, i));
    if (sqlite3_column_type(statement, i) == SQLITE_FLOAT)
        return json_real(sqlite3_column_double(statement, i));
    const char *value = (const char *)sqlite3_column_text(statement, i);
    json_t *made = kind == 'j' ? json_loads(value, JSON_DECODE_ANY, NULL) : json_string(value);
    return made ? made : json_null();
}

static json_t *row_object(sqlite3_stmt *statement)
{
    json_t *row = json_object();
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        const char *name = sqlite3_column_name(statement, i);
        bool typed = name[0] && name[1] == ':';
        json_object_set_new(row, typed ? name + 2 : name,
                            column_value(statement, i, typed ? name[0] : 0));
    }
    return row;
}

/* Statements are kept for the next time, and are marked while they run: a function that uses its
 * own text again meanwhile gets one of its own. */
static int prepare(sl_catalog *c, const char *sql, sl_statement **kept, sqlite3_stmt **statement)
{
    sl_statement *slot = NULL;
    for (size_t i = 0; i < SL_STATEMENTS && !*statement; i++) {
        sl_statement *k = &c->statements[i];
        if (k->statement && k->sql == sql && !k->busy &&
            strcmp(sqlite3_sql(k->statement), sql) == 0)
            *statement = k->statement, slot = k;
        else if (!k->busy && (!slot || k->used < slot->used))
            slot = k;
    }
    *kept = slot;
    int code = *statement
                   ? SQLITE_OK
                   : sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
    if (!slot)
        return code;
    if (slot->statement != *statement)
        sqlite3_finalize(slot->statement);
    *slot = (sl_statement){ sql, *statement, ++c->statements_used, *statement != NULL };
    return code;
}

static void give_back(sl_statement *kept, sqlite3_stmt *statement)
{
    if (!kept) {
        sqlite3_finalize(statement);
        return;
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement); /* they may be secrets */
    kept->busy = false;
}

static sl_rc run(sl_catalog *c, json_t *rows, int *changes, sl_error *err, const char *sql,
                 const char *types, va_list values)
{
    sl_statement *kept;
    sqlite3_stmt *statement = NULL;
    int code = prepare(c, sql, &kept, &statement);
    if (code == SQLITE_OK)
        code = bind(statement, types, values);
    if (code == SQLITE_OK)
        while ((code = sqlite3_step(statement)) == SQLITE_ROW)
            if (rows)
                json_array_append_new(rows, row_object(statement));
    sl_rc rc = SL_OK;
    if (code != SQLITE_DONE)
        rc = sl_db_fail(c, code, sql, err);
    else if (changes)
        *changes = sqlite3_changes(c->db);
    give_back(kept, statement);
    return rc;
}

sl_rc sl_db_run(sl_catalog *c, int *changes, sl_error *err, const char *sql, const char *types, ...)
{
    SL_DB_LOCKED(c);
    va_list values;
    va_start(values, types);
    sl_rc rc = run(c, NULL, changes, err, sql, types, values);
    va_end(values);
    return rc;
}

sl_rc sl_db_rows(sl_catalog *c, json_t **rows, sl_error *err, const char *sql, const char *types,
                 ...)
{
    SL_DB_LOCKED(c);
    va_list values;
    *rows = json_array();
    va_start(values, types);
    sl_rc rc = run(c, *rows, NULL, err, sql, types, values);
    va_end(values);
    if (rc != SL_OK) {
        json_decref(*rows);
        *rows = NULL;
    }
    return rc;
}

sl_rc sl_db_row(sl_catalog *c, json_t **row, sl_error *err, const char *sql, const char *types, ...)
{
    SL_DB_LOCKED(c);
    va_list values;
    json_t *rows = json_array();
    va_start(values, types);
    sl_rc rc = run(c, rows, NULL, err, sql, types, values);
    va_end(values);
    *row = rc == SL_OK ? json_incref(json_array_get(rows, 0)) : NULL;
    json_decref(rows);
    return rc == SL_OK && !*row ? SL_NOT_FOUND : rc;
}

/* ---- pages ---- */

json_t *sl_db_page(json_t *rows, const sl_page *page, const char *key)
{
    size_t n = json_array_size(rows), limit = (size_t)page->limit;
    json_t *cursor = json_null();
    if (n > limit) {
        json_t *last = json_object_get(json_array_get(rows, limit - 1), key);
        char *text = json_is_string(last) ? sl_xstrdup(json_string_value(last))
                                          : json_dumps(last, JSON_ENCODE_ANY);
        size_t size =
            sodium_base64_encoded_len(strlen(text), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        char *encoded = sl_xmalloc(size);
        sodium_bin2base64(encoded, size, (const unsigned char *)text, strlen(text),
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        cursor = json_string(encoded);
        free(encoded);
        free(text);
        while (json_array_size(rows) > limit)
            json_array_remove(rows, json_array_size(rows) - 1);
    }
    return json_pack("{s:o, s:o}", "items", rows, "next_cursor", cursor);
}

sl_rc sl_db_cursor(const sl_page *page, sl_arena *arena, const char **text, sl_error *err)
{
    *text = "";
    if (!page->cursor || !page->cursor[0])
        return SL_OK;
    size_t size = strlen(page->cursor) + 1, n;
    char *decoded = sl_arena_zalloc(arena, size);
    if (sodium_base642bin((unsigned char *)decoded, size - 1, page->cursor, size - 1, NULL, &n,
                          NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        memchr(decoded, 0, n))
        return sl_fail(err, SL_USAGE, "cursor is not one that this service gave");
    *text = decoded;
    return SL_OK;
}

sl_rc sl_db_cursor_number(const sl_page *page, int64_t *number, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *text;
    char *end;
    *number = INT64_MAX;
    if (sl_db_cursor(page, &tmp, &text, err) != SL_OK || !text[0])
        return err ? err->code : SL_OK;
    *number = strtoll(text, &end, 10);
    if (*end || *number <= 0)
        return sl_fail(err, SL_USAGE, "cursor is not one that this service gave");
    return SL_OK;
}

/* ---- opening ---- */

static sl_rc open_directory(sl_catalog *c, const char *dir, sl_error *err)
{
    SL_SCRATCH(tmp);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        sl_fail_errno(err, SL_FAILED, "the data directory %s cannot be made", dir);
        return sl_hint(err, "Make it, owned by the user that runs the service, with mode 0700.");
    }
    const char *path = sl_arena_printf(&tmp, "%s/lock", dir);
    c->lock_fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (c->lock_fd < 0)
        return sl_fail_errno(err, SL_FAILED, "opening %s", path);
    if (flock(c->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        sl_fail(err, SL_FAILED, "the data directory %s is in use by another pgsluice serve", dir);
        return sl_hint(err, "Stop that one, or use another --data-dir.");
    }
    return SL_OK;
}

static sl_rc read_key(int fd, unsigned char *key, const char *path, sl_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || (st.st_mode & 077) != 0) {
        sl_fail(err, SL_FAILED, "%s can be read by others than its owner", path);
        return sl_hint(err, "chmod 0600 %s, and change the passwords it may have given away.",
                       path);
    }
    if (read(fd, key, crypto_secretbox_KEYBYTES) != crypto_secretbox_KEYBYTES) {
        sl_fail(err, SL_FAILED, "%s is not a key of this service", path);
        return sl_hint(err, "Put the key from the backup back: without it no stored password can "
                            "be read.");
    }
    return SL_OK;
}

static sl_rc make_key(unsigned char *key, const char *path, sl_error *err)
{
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return sl_fail_errno(err, SL_FAILED, "making %s", path);
    crypto_secretbox_keygen(key);
    bool written =
        write(fd, key, crypto_secretbox_KEYBYTES) == crypto_secretbox_KEYBYTES && fsync(fd) == 0;
    if (close(fd) != 0 || !written) {
        sl_fail_errno(err, SL_FAILED, "writing %s", path);
        unlink(path);
        return err->code;
    }
    return SL_OK;
}

static sl_rc load_key(sl_catalog *c, const char *dir, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *path = sl_arena_printf(&tmp, "%s/secret.key", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return make_key(c->key, path, err);
    if (fd < 0)
        return sl_fail_errno(err, SL_FAILED, "opening %s", path);
    sl_rc rc = read_key(fd, c->key, path, err);
    close(fd);
    return rc;
}

/* A key that does not open what the catalog's first start sealed would only be noticed much later.
 */
static sl_rc check_key(sl_catalog *c, sl_error *err)
{
    SL_SCRATCH(tmp);
    json_t *row = NULL;
    char *text;
    sl_rc rc = sl_db_row(c, &row, err, "SELECT value FROM setting WHERE name = 'key_check'", "");
    if (rc == SL_NOT_FOUND)
        return sl_db_run(c, NULL, err, "INSERT INTO setting (name, value) VALUES ('key_check', ?)",
                         "s", sl_secret_seal(c, "check", "pgsluice", &tmp));
    if (rc == SL_OK)
        rc = sl_secret_open(c, "check", json_string_value(json_object_get(row, "value")), &tmp,
                            &text, err);
    json_decref(row);
    if (rc != SL_OK)
        sl_hint(err, "secret.key does not belong to this catalog: put the right one back.");
    return rc;
}

static sl_rc open_database(sl_catalog *c, const char *dir, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *path = sl_arena_printf(&tmp, "%s/catalog.sqlite", dir);
    mode_t before = umask(0077);
    int code =
        sqlite3_open_v2(path, &c->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, NULL);
    sl_rc rc = code == SQLITE_OK ? SL_OK : sl_db_fail(c, code, path, err);
    if (rc == SL_OK)
        rc = sl_db_exec(c,
                        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                        "PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000;"
                        "PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF",
                        err);
    if (rc == SL_OK)
        rc = sl_db_migrate(c, err);
    umask(before);
    return rc;
}

sl_rc sl_catalog_open(const char *dir, sl_catalog **catalog, sl_error *err)
{
    if (sodium_init() < 0)
        return sl_fail(err, SL_FAILED, "libsodium cannot be used");
    sl_catalog *c = sl_xcalloc(1, sizeof(*c));
    c->lock_fd = -1;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&c->lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
    pthread_mutex_init(&c->hashing, NULL);
    sl_rc rc = open_directory(c, dir, err);
    if (rc == SL_OK)
        rc = load_key(c, dir, err);
    if (rc == SL_OK)
        rc = open_database(c, dir, err);
    if (rc == SL_OK)
        rc = check_key(c, err);
    if (rc != SL_OK) {
        sl_catalog_close(c);
        return sl_while(err, "opening the catalog in %s", dir);
    }
    *catalog = c;
    return SL_OK;
}

void sl_catalog_close(sl_catalog *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < SL_STATEMENTS; i++)
        sqlite3_finalize(c->statements[i].statement);
    sqlite3_close(c->db);
    if (c->lock_fd >= 0)
        close(c->lock_fd);
    sodium_memzero(c->key, sizeof(c->key));
    pthread_mutex_destroy(&c->hashing);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

sl_rc sl_catalog_probe(sl_catalog *c, sl_error *err)
{
    SL_DB_LOCKED(c);
    return sl_db_run(c, NULL, err,
                     "INSERT INTO setting (name, value) VALUES ('probe', ?) ON CONFLICT (name) DO"
                     " UPDATE SET value = excluded.value",
                     "i", sl_now_us());
}

void sl_catalog_limit_pages(sl_catalog *c, int pages)
{
    char sql[64];
    SL_DB_LOCKED(c);
    snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %d", pages > 0 ? pages : 1073741823);
    sqlite3_exec(c->db, sql, NULL, NULL, NULL);
}
