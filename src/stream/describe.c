/* describe.c: renders keys and rows as JSON and composes the message a user acts on.
 *
 * Names are the destination's and values are whole (up to a limit), so that `errors FILE retry` can
 * apply the change from its record. */
#include "stream/describe.h"

#include <stdlib.h>
#include <string.h>

#include "stream/coalesce.h"

#define MAX_SHOWN (256 * 1024) /* bytes of a value that are kept */

static json_t *value_json(const char *text, size_t n)
{
    if (n <= MAX_SHOWN) {
        json_t *whole = json_stringn(text, n);
        return whole ? whole : json_sprintf("(%zu bytes that are not UTF-8)", n);
    }
    for (size_t cut = MAX_SHOWN; cut > MAX_SHOWN - 4; cut--) { /* not inside a character */
        json_t *start = json_stringn(text, cut);
        if (start) {
            json_t *shown = json_sprintf("%s… (%zu bytes)", json_string_value(start), n);
            json_decref(start);
            return shown;
        }
    }
    return json_sprintf("(%zu bytes)", n);
}

/* One binary value as the destination writes it. */
static json_t *render_binary(sl_pg *pg, const sl_field *f, const uint8_t *v)
{
    SL_RESULT(res);
    const Oid type = f->param;
    const char *data = (const char *)sl_value_data(v);
    const int len = (int)sl_value_len(v), binary = 1;
    if (pg)
        res = PQexecParams(pg->conn, "SELECT $1::text", 1, &type, &data, &len, &binary, 0);
    if (PQresultStatus(res) != PGRES_TUPLES_OK || PQgetisnull(res, 0, 0))
        return json_sprintf("(%d bytes)", len);
    return value_json(PQgetvalue(res, 0, 0), (size_t)PQgetlength(res, 0, 0));
}

static json_t *field_json(sl_pg *pg, bool binary, const sl_field *f, const uint8_t *v)
{
    if (sl_value_null(v))
        return json_null();
    if (binary && sl_value_kind(v) == 'b')
        return render_binary(pg, f, v);
    return value_json((const char *)sl_value_data(v), sl_value_len(v));
}

static char *row_json(sl_pg *pg, bool binary, const sl_bound *bound, const sl_change *change,
                      const uint32_t *off, bool key_only, sl_arena *arena)
{
    if (!off)
        return NULL;
    json_t *object = json_object();
    for (uint16_t i = 0; i < bound->n_fields; i++) {
        const sl_field *f = &bound->fields[i];
        if (key_only && bound->n_key > 0 && !f->key)
            continue;
        const uint8_t *v = change->data + off[f->column];
        if (sl_value_sent(v)) /* an unchanged value is no part of the change */
            json_object_set_new(object, f->target->name, field_json(pg, binary, f, v));
    }
    char *text = json_dumps(object, JSON_COMPACT);
    char *copy = sl_arena_strdup(arena, text ? text : "{}");
    free(text);
    json_decref(object);
    return copy;
}

/* "row_exists", "row_missing", "unique_conflict", or NULL when the failure is no conflict. */
static const char *conflict_name(const sl_bound *bound, const sl_change *change,
                                 const sl_failure *failure)
{
    if (failure->wrong_count)
        return failure->count == 0 ? "row_missing" : NULL;
    if (strcmp(failure->err.sqlstate, "23505") != 0)
        return NULL;
    bool key = bound->key_index && strcmp(bound->key_index->name, failure->constraint) == 0;
    return key && change->op == SL_CHANGE_INSERT ? "row_exists" : "unique_conflict";
}

void sl_describe_change(sl_pg *control, bool binary, const sl_bound *bound, const sl_change *change,
                        const sl_txn *txn, const sl_failure *failure, sl_arena *arena,
                        sl_change_error *out)
{
    *out = (sl_change_error){
        .commit_lsn = txn->commit_lsn,
        .seq = change->seq,
        .schema = bound->rel->schema,
        .table = bound->rel->table,
        .operation = sl_change_op_name(change->op),
        .conflict = conflict_name(bound, change, failure),
        .sqlstate = failure->err.sqlstate[0] ? sl_arena_strdup(arena, failure->err.sqlstate) : NULL,
    };
    out->message = sl_arena_strdup(arena, failure->err.message);
    if (out->conflict && failure->wrong_count)
        out->message = "the row is missing in the destination";
    if (change->op == SL_CHANGE_TRUNCATE)
        return;
    out->key = row_json(control, binary, bound, change, sl_key_offsets(change), true, arena);
    out->row = row_json(control, binary, bound, change, change->new_off, false, arena);
}

sl_rc sl_stop_error(const sl_run *run, const sl_change_error *e, const sl_failure *failure,
                    sl_error *err)
{
    sl_error_clear(err);
    sl_fail(err, SL_FAILED,
            "%s on %s.%s%s%s cannot be applied (transaction " SL_LSN_FMT ", change %u): %s",
            e->operation, e->schema, e->table, e->key ? ", key " : "", e->key ? e->key : "",
            SL_LSN_ARGS(e->commit_lsn), e->seq, e->message);
    memcpy(err->sqlstate, failure->err.sqlstate, sizeof(err->sqlstate));
    if (strcmp(err->sqlstate, "22P02") == 0 && strstr(e->message, "enum"))
        return sl_hint(err,
                       "The source has a new enum value. Add it in the destination (ALTER TYPE "
                       "… ADD VALUE …) and run again.");
    return sl_hint(err,
                   "%s%sMake the destination able to take the change and run again, or leave the "
                   "change out: `pgsluice errors %s list` shows its number N, `pgsluice errors %s "
                   "skip N` skips it at the next run. With on_error: set_aside such changes are "
                   "listed and the rest goes on.",
                   failure->err.hint, failure->err.hint[0] ? " " : "", run->spec->file,
                   run->spec->file);
}
