/* connections.c: connection templates, drafts, answers to requests that may be repeated. */
#include <string.h>

#include "catalog/db.h"
#include "core/clock.h"

static sl_rc one_changed(sl_rc rc, int changed)
{
    return rc == SL_OK && changed == 0 ? SL_NOT_FOUND : rc;
}

/* Takes a member out of the row into the arena. */
static char *take_text(json_t *row, const char *key, sl_arena *arena)
{
    char *text = sl_arena_strdup(arena, json_string_value(json_object_get(row, key)));
    json_object_del(row, key);
    return text;
}

/* ---- connections ---- */

#define CONNECTION_COLUMNS                                                                         \
    "id, name, endpoint AS \"j:endpoint\", created_at AS \"t:created_at\","                        \
    " updated_at AS \"t:updated_at\""

sl_rc sl_connection_store(sl_catalog *c, const char *id, const char *name, const json_t *endpoint,
                          const char *sealed, sl_error *err)
{
    return sl_db_run(c, NULL, err,
                     "INSERT INTO connection (id, name, endpoint, secret, created_at, updated_at)"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT (id) DO UPDATE SET name = ?2,"
                     " endpoint = ?3, secret = ?4, updated_at = ?5",
                     "ssjsi", id, name, endpoint, sealed, sl_now_us());
}

sl_rc sl_connection_get(sl_catalog *c, const char *id, sl_arena *arena, json_t **connection,
                        char **sealed, sl_error *err)
{
    sl_rc rc =
        sl_db_row(c, connection, err,
                  "SELECT " CONNECTION_COLUMNS ", secret FROM connection WHERE id = ?", "s", id);
    if (rc == SL_OK)
        *sealed = take_text(*connection, "secret", arena);
    return rc;
}

sl_rc sl_connection_delete(sl_catalog *c, const char *id, sl_error *err)
{
    int changed = 0;
    sl_rc rc = sl_db_run(c, &changed, err, "DELETE FROM connection WHERE id = ?", "s", id);
    return one_changed(rc, changed);
}

sl_rc sl_connection_list(sl_catalog *c, const char *text, const sl_page *page, json_t **found,
                         sl_error *err)
{
    SL_SCRATCH(tmp);
    json_t *rows, *row;
    const char *after;
    size_t i;
    if (sl_db_cursor(page, &tmp, &after, err) != SL_OK)
        return err->code;
    sl_rc rc =
        sl_db_rows(c, &rows, err,
                   "SELECT " CONNECTION_COLUMNS ", secret IS NOT NULL AS \"b:sealed\", name ||"
                   " char(1) || id AS sort FROM"
                   " connection WHERE name || char(1) || id > ?1 AND (?2 IS NULL OR"
                   " instr(lower(name), lower(?2)) > 0) ORDER BY sort LIMIT ?3",
                   "ssi", after, text, (int64_t)page->limit + 1);
    *found = rc == SL_OK ? sl_db_page(rows, page, "sort") : NULL;
    json_array_foreach(json_object_get(*found, "items"), i, row)
    {
        json_object_set(json_object_get(row, "endpoint"), "has_password",
                        json_object_get(row, "sealed"));
        json_object_del(row, "sealed");
        json_object_del(row, "sort");
    }
    return rc;
}

/* ---- drafts ---- */

#define DRAFT_COLUMNS "id, name, version, updated_at AS \"t:updated_at\""

sl_rc sl_draft_store(sl_catalog *c, const char *id, const char *user, const char *name,
                     const char *sealed, int64_t version, sl_error *err)
{
    int changed = 0;
    if (version == 0)
        return sl_db_run(c, NULL, err,
                         "INSERT INTO draft (id, user, name, version, updated_at, content) VALUES"
                         " (?, ?, ?, 1, ?, ?)",
                         "sssis", id, user, name, sl_now_us(), sealed);
    sl_rc rc = sl_db_run(c, &changed, err,
                         "UPDATE draft SET name = ?, content = ?, version = version + 1, updated_at"
                         " = ? WHERE id = ? AND user = ? AND version = ?",
                         "ssissi", name, sealed, sl_now_us(), id, user, version);
    return one_changed(rc, changed);
}

sl_rc sl_draft_get(sl_catalog *c, const char *id, const char *user, sl_arena *arena, json_t **draft,
                   char **sealed, sl_error *err)
{
    sl_rc rc = sl_db_row(c, draft, err,
                         "SELECT " DRAFT_COLUMNS ", content FROM draft WHERE id = ? AND user = ?",
                         "ss", id, user);
    if (rc == SL_OK)
        *sealed = take_text(*draft, "content", arena);
    return rc;
}

sl_rc sl_draft_delete(sl_catalog *c, const char *id, const char *user, sl_error *err)
{
    int changed = 0;
    sl_rc rc =
        sl_db_run(c, &changed, err, "DELETE FROM draft WHERE id = ? AND user = ?", "ss", id, user);
    return one_changed(rc, changed);
}

sl_rc sl_draft_list(sl_catalog *c, const char *user, json_t **drafts, sl_error *err)
{
    json_t *rows;
    sl_rc rc = sl_db_rows(c, &rows, err,
                          "SELECT " DRAFT_COLUMNS
                          " FROM draft WHERE user = ? ORDER BY updated_at DESC, id LIMIT 1000",
                          "s", user);
    *drafts = rc == SL_OK ? json_pack("{s:o}", "items", rows) : NULL;
    return rc;
}

/* ---- answers ---- */

sl_rc sl_answer_find(sl_catalog *c, const char *user, const char *key, json_t **answer,
                     sl_error *err)
{
    return sl_db_row(
        c, answer, err,
        "SELECT request, status, body AS \"j:body\" FROM answer WHERE user = ? AND key ="
        " ? AND time > ?",
        "ssi", user, key, sl_now_us() - INT64_C(86400000000));
}

sl_rc sl_answer_store(sl_catalog *c, const char *user, const char *key, const char *request,
                      int status, const json_t *body, sl_error *err)
{
    return sl_db_run(c, NULL, err, "INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?, ?)",
                     "sssiji", user, key, request, (int64_t)status, body, sl_now_us());
}
