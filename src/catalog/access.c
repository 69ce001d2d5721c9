/* access.c: users, sessions, tokens, the audit trail. */
#include "catalog/access.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"

static const char *const role_names[] = { "none", "viewer", "operator", "admin" };

const char *sl_role_name(sl_role role)
{
    return role_names[role];
}

sl_role sl_role_parse(const char *name)
{
    for (int i = SL_ROLE_VIEWER; name && i <= SL_ROLE_ADMIN; i++)
        if (strcmp(name, role_names[i]) == 0)
            return (sl_role)i;
    return SL_ROLE_NONE;
}

static sl_rc hash_password(sl_catalog *c, const char *password, char *hash, sl_error *err)
{
    pthread_mutex_lock(&c->hashing);
    int failed =
        crypto_pwhash_str(hash, password, strlen(password), crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          crypto_pwhash_MEMLIMIT_INTERACTIVE);
    pthread_mutex_unlock(&c->hashing);
    return failed ? sl_fail(err, SL_TRANSIENT, "no memory to hash a password") : SL_OK;
}

/* ---- users ---- */

sl_rc sl_user_count(sl_catalog *c, int64_t *n, sl_error *err)
{
    json_t *row;
    sl_rc rc = sl_db_row(c, &row, err, "SELECT count(*) AS n FROM user", "");
    *n = json_integer_value(json_object_get(row, "n"));
    json_decref(row);
    return rc;
}

sl_rc sl_user_create(sl_catalog *c, const char *name, const char *password, sl_role role,
                     sl_error *err)
{
    char hash[crypto_pwhash_STRBYTES];
    int made = 0;
    sl_rc rc = hash_password(c, password, hash, err);
    if (rc == SL_OK)
        rc = sl_db_run(c, &made, err,
                       "INSERT INTO user (name, hash, role, created_at) VALUES (?, ?, ?, ?)"
                       " ON CONFLICT (name) DO NOTHING",
                       "sssi", name, hash, sl_role_name(role), sl_now_us());
    if (rc == SL_OK && made == 0)
        rc = sl_fail(err, SL_USAGE, "there is a user %s already", name);
    return rc;
}

sl_rc sl_user_verify(sl_catalog *c, const char *name, const char *password, sl_who *who,
                     sl_error *err)
{
    /* Of a password that nobody knows: an unknown name takes as long as a known one. */
    static const char nobody[] = "$argon2id$v=19$m=65536,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$"
                                 "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE";
    json_t *row = NULL;
    sl_rc rc =
        sl_db_row(c, &row, err, "SELECT hash, role, disabled FROM user WHERE name = ?", "s", name);
    if (rc != SL_OK && rc != SL_NOT_FOUND)
        return rc;
    const char *hash = row ? json_string_value(json_object_get(row, "hash")) : nobody;
    pthread_mutex_lock(&c->hashing);
    bool right = crypto_pwhash_str_verify(hash, password, strlen(password)) == 0;
    pthread_mutex_unlock(&c->hashing);
    right = right && row && json_integer_value(json_object_get(row, "disabled")) == 0;
    if (right) {
        snprintf(who->user, sizeof(who->user), "%s", name);
        who->role = sl_role_parse(json_string_value(json_object_get(row, "role")));
        who->expires_us = 0;
        rc = sl_db_run(c, NULL, NULL, "UPDATE user SET last_login_at = ? WHERE name = ?", "is",
                       sl_now_us(), name);
    }
    json_decref(row);
    return right ? SL_OK : SL_NOT_FOUND;
}

static sl_rc keep_an_admin(sl_catalog *c, sl_error *err)
{
    json_t *row = NULL;
    sl_rc rc =
        sl_db_row(c, &row, err,
                  "SELECT 1 AS one FROM user WHERE role = 'admin' AND disabled = 0 LIMIT 1", "");
    json_decref(row);
    if (rc == SL_NOT_FOUND) {
        sl_fail(err, SL_USAGE, "no enabled admin would be left");
        return sl_hint(err, "Make another admin first.");
    }
    return rc;
}

sl_rc sl_user_change(sl_catalog *c, const char *name, const char *role, const char *password,
                     int disabled, sl_error *err)
{
    char hash[crypto_pwhash_STRBYTES];
    int changed = 0;
    if (password && hash_password(c, password, hash, err) != SL_OK)
        return err->code;
    SL_DB_LOCKED(c);
    sl_rc rc = sl_db_begin(c, err);
    if (rc == SL_OK)
        rc = sl_db_run(c, &changed, err,
                       "UPDATE user SET role = coalesce(?1, role), hash = coalesce(?2, hash),"
                       " disabled = CASE WHEN ?3 < 0 THEN disabled ELSE ?3 END WHERE name = ?4",
                       "ssis", role, password ? hash : NULL, (int64_t)disabled, name);
    if (rc == SL_OK && changed == 0)
        rc = SL_NOT_FOUND;
    if (rc == SL_OK)
        rc = sl_db_run(c, NULL, err, "DELETE FROM session WHERE user = ?", "s", name);
    if (rc == SL_OK)
        rc = keep_an_admin(c, err);
    return sl_db_end(c, rc, err);
}

sl_rc sl_user_delete(sl_catalog *c, const char *name, sl_error *err)
{
    SL_DB_LOCKED(c);
    int changed = 0;
    sl_rc rc = sl_db_begin(c, err);
    if (rc == SL_OK)
        rc = sl_db_run(c, &changed, err, "DELETE FROM user WHERE name = ?", "s", name);
    if (rc == SL_OK && changed == 0)
        rc = SL_NOT_FOUND;
    if (rc == SL_OK)
        rc = keep_an_admin(c, err);
    return sl_db_end(c, rc, err);
}

#define USER_COLUMNS                                                                               \
    "name, role, disabled AS \"b:disabled\", created_at AS \"t:created_at\","                      \
    " last_login_at AS \"t:last_login_at\""

sl_rc sl_user_get(sl_catalog *c, const char *name, json_t **user, sl_error *err)
{
    return sl_db_row(c, user, err, "SELECT " USER_COLUMNS " FROM user WHERE name = ?", "s", name);
}

static sl_rc items(sl_rc rc, json_t *rows, json_t **out)
{
    *out = rc == SL_OK ? json_pack("{s:o}", "items", rows) : NULL;
    return rc;
}

sl_rc sl_user_list(sl_catalog *c, json_t **users, sl_error *err)
{
    json_t *rows;
    sl_rc rc = sl_db_rows(c, &rows, err, "SELECT " USER_COLUMNS " FROM user ORDER BY name", "");
    return items(rc, rows, users);
}

/* ---- sessions and tokens ---- */

sl_rc sl_session_create(sl_catalog *c, const char *user, int64_t expires_us, char *secret,
                        sl_error *err)
{
    char hash[SL_TOKEN_SIZE];
    sl_access_new_secret("", secret);
    return sl_db_run(c, NULL, err, "INSERT INTO session (hash, user, expires_at) VALUES (?, ?, ?)",
                     "ssi", sl_access_hash(c, "session", secret, hash), user, expires_us);
}

static sl_rc fill_who(sl_rc rc, json_t *row, sl_who *who)
{
    if (rc == SL_OK) {
        snprintf(who->user, sizeof(who->user), "%s",
                 json_string_value(json_object_get(row, "user")));
        who->role = sl_role_parse(json_string_value(json_object_get(row, "role")));
        sl_role most = sl_role_parse(json_string_value(json_object_get(row, "most")));
        if (most < who->role) /* of a token whose user has lost rights since */
            who->role = most;
        who->expires_us = json_integer_value(json_object_get(row, "expires_at"));
    }
    json_decref(row);
    return rc;
}

sl_rc sl_session_find(sl_catalog *c, const char *secret, sl_who *who, sl_error *err)
{
    char hash[SL_TOKEN_SIZE];
    json_t *row = NULL;
    sl_rc rc = sl_db_row(c, &row, err,
                         "SELECT s.user, u.role, u.role AS most, s.expires_at FROM session s JOIN"
                         " user u ON u.name = s.user WHERE s.hash = ? AND u.disabled = 0 AND"
                         " s.expires_at > ?",
                         "si", sl_access_hash(c, "session", secret, hash), sl_now_us());
    return fill_who(rc, row, who);
}

sl_rc sl_session_delete(sl_catalog *c, const char *secret, sl_error *err)
{
    char hash[SL_TOKEN_SIZE];
    return sl_db_run(c, NULL, err, "DELETE FROM session WHERE hash = ?", "s",
                     sl_access_hash(c, "session", secret, hash));
}

#define TOKEN_COLUMNS                                                                              \
    "id, name, user, role, created_at AS \"t:created_at\", expires_at AS \"t:expires_at\","        \
    " last_used_at AS \"t:last_used_at\""

sl_rc sl_token_create(sl_catalog *c, const char *user, const char *name, sl_role role,
                      int64_t expires_us, char *secret, json_t **token, sl_error *err)
{
    char hash[SL_TOKEN_SIZE], id[SL_ID_SIZE];
    sl_access_new_secret("pgs_", secret);
    SL_DB_LOCKED(c);
    sl_rc rc = sl_db_run(c, NULL, err,
                         "INSERT INTO token (id, hash, name, user, role, created_at, expires_at)"
                         " VALUES (?, ?, ?, ?, ?, ?, nullif(?, 0))",
                         "sssssii", sl_catalog_new_id(id), sl_access_hash(c, "token", secret, hash),
                         name, user, sl_role_name(role), sl_now_us(), expires_us);
    if (rc == SL_OK)
        rc = sl_db_row(c, token, err, "SELECT " TOKEN_COLUMNS " FROM token WHERE id = ?", "s", id);
    return rc;
}

sl_rc sl_token_find(sl_catalog *c, const char *secret, sl_who *who, sl_error *err)
{
    char hash[SL_TOKEN_SIZE];
    json_t *row = NULL;
    SL_DB_LOCKED(c);
    sl_access_hash(c, "token", secret, hash);
    sl_rc rc = sl_db_row(c, &row, err,
                         "SELECT t.user, t.role, u.role AS most, t.expires_at, t.last_used_at FROM"
                         " token t JOIN user u ON u.name = t.user WHERE t.hash = ? AND u.disabled ="
                         " 0 AND (t.expires_at IS NULL OR t.expires_at > ?)",
                         "si", hash, sl_now_us());
    /* Written once a minute at most; not being able to is no reason to refuse. */
    if (rc == SL_OK &&
        sl_now_us() - json_integer_value(json_object_get(row, "last_used_at")) > INT64_C(60000000))
        sl_db_run(c, NULL, NULL, "UPDATE token SET last_used_at = ? WHERE hash = ?", "is",
                  sl_now_us(), hash);
    return fill_who(rc, row, who);
}

sl_rc sl_token_delete(sl_catalog *c, const char *id, const char *user, sl_error *err)
{
    int changed = 0;
    sl_rc rc =
        sl_db_run(c, &changed, err, "DELETE FROM token WHERE id = ?1 AND (?2 IS NULL OR user = ?2)",
                  "ss", id, user);
    return rc == SL_OK && changed == 0 ? SL_NOT_FOUND : rc;
}

sl_rc sl_token_list(sl_catalog *c, const char *user, json_t **tokens, sl_error *err)
{
    json_t *rows;
    sl_rc rc = sl_db_rows(c, &rows, err,
                          "SELECT " TOKEN_COLUMNS " FROM token WHERE ?1 IS NULL OR user = ?1 ORDER"
                          " BY user, name, id",
                          "s", user);
    return items(rc, rows, tokens);
}

/* ---- audit ---- */

sl_rc sl_audit_store(sl_catalog *c, const char *actor, const char *address, const char *action,
                     const char *object, const char *detail, sl_error *err)
{
    return sl_db_run(
        c, NULL, err,
        "INSERT INTO audit (time, actor, address, action, object, detail) VALUES (?, ?,"
        " ?, ?, ?, ?)",
        "isssss", sl_now_us(), actor, address, action, object, detail);
}

sl_rc sl_audit_list(sl_catalog *c, const char *actor, const char *object, const sl_page *page,
                    json_t **entries, sl_error *err)
{
    json_t *rows;
    int64_t before;
    if (sl_db_cursor_number(page, &before, err) != SL_OK)
        return err->code;
    sl_rc rc = sl_db_rows(c, &rows, err,
                          "SELECT id, time AS \"t:time\", actor, address, action, object, detail"
                          " FROM audit WHERE id < ?1 AND (?2 IS NULL OR actor = ?2) AND (?3 IS NULL"
                          " OR object = ?3) ORDER BY id DESC LIMIT ?4",
                          "issi", before, actor, object, (int64_t)page->limit + 1);
    *entries = rc == SL_OK ? sl_db_page(rows, page, "id") : NULL;
    return rc;
}
