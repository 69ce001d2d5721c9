/* settings.c: the service's settings, and the copy of the catalog that `pgsluice backup` makes. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/db.h"

sl_rc sl_setting_read(sl_catalog *c, const char *name, json_t **value, sl_error *err)
{
    json_t *row = NULL;
    sl_rc rc = sl_db_row(c, &row, err, "SELECT value AS \"j:value\" FROM setting WHERE name = ?",
                         "s", name);
    *value = rc == SL_OK ? json_incref(json_object_get(row, "value")) : NULL;
    json_decref(row);
    return rc;
}

int64_t sl_setting_number(sl_catalog *c, const char *name, int64_t standard)
{
    json_t *value = NULL;
    sl_error ignored = SL_ERROR_INIT;
    if (sl_setting_read(c, name, &value, &ignored) == SL_OK && json_is_integer(value))
        standard = json_integer_value(value);
    json_decref(value);
    return standard;
}

sl_rc sl_setting_store(sl_catalog *c, const char *name, const json_t *value, sl_error *err)
{
    return sl_db_run(c, NULL, err,
                     "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE"
                     " SET value = excluded.value",
                     "sj", name, value);
}

/* ---- backup ---- */

static sl_rc copy_key(const char *from, const char *to, sl_error *err)
{
    char key[crypto_secretbox_KEYBYTES];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    bool read_all = in >= 0 && read(in, key, sizeof(key)) == sizeof(key);
    if (!read_all)
        sl_fail_errno(err, SL_FAILED, "reading %s", from);
    int out = read_all ? open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    if (read_all && (out < 0 || write(out, key, sizeof(key)) != sizeof(key) || fsync(out) != 0))
        sl_fail_errno(err, SL_FAILED, "writing %s", to);
    sodium_memzero(key, sizeof(key));
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return err->code;
}

static sl_rc copy_database(const char *from, const char *to, sl_error *err)
{
    sqlite3 *source = NULL, *copy = NULL;
    int code = sqlite3_open_v2(from, &source, SQLITE_OPEN_READWRITE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_open_v2(to, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (code == SQLITE_OK) {
        sqlite3_busy_timeout(source, 10000);
        sqlite3_backup *backup = sqlite3_backup_init(copy, "main", source, "main");
        if (backup) {
            sqlite3_backup_step(backup, -1); /* at once: a step that is overtaken starts anew */
            sqlite3_backup_finish(backup);
        }
        code = sqlite3_errcode(copy);
    }
    if (code == SQLITE_OK)
        code = sqlite3_exec(copy, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    if (code != SQLITE_OK)
        sl_fail(err, SL_FAILED, "copying %s to %s: %s", from, to, sqlite3_errstr(code));
    sqlite3_close(source);
    sqlite3_close(copy);
    return err->code;
}

sl_rc sl_catalog_backup(const char *dir, const char *to, sl_error *err)
{
    SL_SCRATCH(tmp);
    const char *database = sl_arena_printf(&tmp, "%s/catalog.sqlite", dir);
    if (access(database, R_OK) != 0) {
        sl_fail_errno(err, SL_USAGE, "reading %s", database);
        return sl_hint(err, "--data-dir is the directory that `pgsluice serve` was started with.");
    }
    if (mkdir(to, 0700) != 0) {
        sl_fail_errno(err, SL_USAGE, "the directory %s cannot be made", to);
        return sl_hint(err, "Name one that is not there yet: a backup never replaces another.");
    }
    mode_t before = umask(0077);
    if (copy_database(database, sl_arena_printf(&tmp, "%s/catalog.sqlite", to), err) == SL_OK)
        copy_key(sl_arena_printf(&tmp, "%s/secret.key", dir),
                 sl_arena_printf(&tmp, "%s/secret.key", to), err);
    umask(before);
    return err->code;
}
