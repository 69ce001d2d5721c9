/* pgoutput.c: decodes the messages of PostgreSQL's pgoutput plugin, protocol versions 1 and 2
 * without streaming of transactions in progress and without two-phase commits.
 *
 * Sources: "Logical Replication Message Formats" in the PostgreSQL documentation, and
 * src/backend/replication/logical/proto.c.
 *
 * One function per message, found through a table by the message's first byte. Each reads its
 * fields with a cursor that remembers an underflow; the cursor is checked once per message, and
 * must have reached the message's end, before anything is handed on. Values are not copied: a row
 * is an array of offsets into the message.
 *
 * Invariants:
 *  1. A row change lies between BEGIN and COMMIT, and its relation was described before.
 *  2. A row has as many columns as its relation.
 *  3. A relation that is described again with the same bytes keeps its sl_relation.
 *
 * It does not know which relations are wanted, and it does not interpret values. */
#include <stdlib.h>
#include <string.h>

#include "stream/cursor.h"
#include "stream/decoder.h"

/* Relations are looked up for every change, so a direct-mapped cache is in front of the map. */
#define CACHE_SIZE 256

typedef struct decoder {
    sl_sink sink;
    sl_arena relations; /* all versions of all relations */
    sl_arena message;   /* of the current message */
    sl_map *by_oid;     /* uint32_t → the current version */
    sl_relation *cache[CACHE_SIZE];
    sl_txn txn;
    bool in_txn;
    uint32_t seq;
    uint32_t old_off[SL_MAX_COLUMNS], new_off[SL_MAX_COLUMNS];
} decoder;

/* Offsets of a row's values; a row of another width than the relation's is bad. */
static void get_row(sl_cursor *c, const sl_relation *rel, uint32_t *off, bool *unchanged)
{
    uint16_t n = sl_cursor_16(c);
    if (n != rel->n_columns) {
        c->bad = true;
        return;
    }
    for (uint16_t i = 0; i < n; i++) {
        off[i] = (uint32_t)(c->p - c->start);
        switch (sl_cursor_8(c)) {
        case 'n':
            break;
        case 'u':
            *unchanged = true;
            break;
        case 't':
        case 'b':
            sl_cursor_skip(c, sl_cursor_32(c));
            break;
        default:
            c->bad = true;
            return;
        }
    }
}

/* ---- messages ---- */

static sl_rc malformed(sl_error *err, const char *what, size_t len)
{
    sl_fail(err, SL_FAILED, "the source sent a malformed %s message (%zu bytes)", what, len);
    return sl_hint(err,
                   "report this with the source's PostgreSQL version; nothing of the message was "
                   "applied");
}

static sl_rc on_begin(decoder *d, sl_cursor *c, sl_error *err)
{
    sl_txn txn = { .commit_lsn = sl_cursor_64(c) };
    txn.commit_us = (int64_t)sl_cursor_64(c) + SL_PG_EPOCH_US;
    txn.xid = sl_cursor_32(c);
    if (!sl_cursor_complete(c) || d->in_txn)
        return malformed(err, "BEGIN", (size_t)(c->end - c->start));
    d->txn = txn;
    d->in_txn = true;
    d->seq = 0;
    return d->sink.begin ? d->sink.begin(d->sink.self, &d->txn, err) : SL_OK;
}

static sl_rc on_commit(decoder *d, sl_cursor *c, sl_error *err)
{
    sl_cursor_skip(c, 1);
    sl_lsn commit_lsn = sl_cursor_64(c), end_lsn = sl_cursor_64(c);
    int64_t commit_us = (int64_t)sl_cursor_64(c) + SL_PG_EPOCH_US;
    if (!sl_cursor_complete(c) || !d->in_txn || commit_lsn != d->txn.commit_lsn ||
        end_lsn < commit_lsn)
        return malformed(err, "COMMIT", (size_t)(c->end - c->start));
    d->txn.end_lsn = end_lsn;
    d->txn.commit_us = commit_us;
    d->in_txn = false;
    return d->sink.commit ? d->sink.commit(d->sink.self, &d->txn, err) : SL_OK;
}

static sl_rc on_relation(decoder *d, sl_cursor *c, sl_error *err)
{
    uint32_t oid = sl_cursor_32(c);
    size_t len = (size_t)(c->end - c->start);
    sl_relation *old = sl_map_get(d->by_oid, &oid, sizeof(oid));
    if (old && old->raw_len == len && memcmp(old->raw, c->start, len) == 0)
        return SL_OK;

    /* The strings of the new version point into its own copy of the message. */
    const uint8_t *raw = sl_arena_bytes(&d->relations, c->start, len);
    sl_cursor own = { raw, raw + (c->p - c->start), raw + len, c->bad };
    sl_relation *rel = SL_NEW(&d->relations, sl_relation);
    *rel = (sl_relation){ .oid = oid, .raw = raw, .raw_len = len };
    rel->schema = sl_cursor_string(&own);
    if (rel->schema[0] == '\0')
        rel->schema = "pg_catalog"; /* as the protocol abbreviates it */
    rel->table = sl_cursor_string(&own);
    rel->identity = (char)sl_cursor_8(&own);
    rel->n_columns = sl_cursor_16(&own);
    if (own.bad || rel->n_columns > SL_MAX_COLUMNS)
        return malformed(err, "RELATION", len);
    rel->columns = SL_NEW_ARRAY(&d->relations, sl_rel_column, rel->n_columns);
    for (uint16_t i = 0; i < rel->n_columns; i++) {
        sl_rel_column *column = &rel->columns[i];
        column->key = sl_cursor_8(&own) & 1;
        column->name = sl_cursor_string(&own);
        column->type = sl_cursor_32(&own);
        column->typmod = (int32_t)sl_cursor_32(&own);
    }
    if (!sl_cursor_complete(&own))
        return malformed(err, "RELATION", len);
    sl_map_put(d->by_oid, &oid, sizeof(oid), rel);
    d->cache[oid % CACHE_SIZE] = rel;
    return d->sink.relation ? d->sink.relation(d->sink.self, rel, err) : SL_OK;
}

static const sl_relation *find_relation(decoder *d, uint32_t oid)
{
    sl_relation *rel = d->cache[oid % CACHE_SIZE];
    if (rel && rel->oid == oid)
        return rel;
    rel = sl_map_get(d->by_oid, &oid, sizeof(oid));
    if (rel)
        d->cache[oid % CACHE_SIZE] = rel;
    return rel;
}

/* The part that INSERT, UPDATE and DELETE share: transaction and relation. */
static bool start_change(decoder *d, sl_cursor *c, sl_change *change, sl_change_op op)
{
    size_t len = (size_t)(c->end - c->start);
    *change = (sl_change){ .data = c->start, .len = (uint32_t)len, .op = (uint8_t)op };
    change->rel = find_relation(d, sl_cursor_32(c));
    return change->rel && d->in_txn && len <= UINT32_MAX;
}

static void get_old(decoder *d, sl_cursor *c, sl_change *change, char kind)
{
    bool ignored = false;
    change->old_kind = kind;
    change->old_off = d->old_off;
    get_row(c, change->rel, d->old_off, &ignored);
}

static void get_new(decoder *d, sl_cursor *c, sl_change *change)
{
    change->new_off = d->new_off;
    get_row(c, change->rel, d->new_off, &change->unchanged);
}

static sl_rc hand_on(decoder *d, sl_cursor *c, sl_change *change, sl_error *err)
{
    if (!sl_cursor_complete(c))
        return malformed(err, sl_change_op_name(change->op), (size_t)(c->end - c->start));
    change->seq = ++d->seq;
    return d->sink.change ? d->sink.change(d->sink.self, &d->txn, change, err) : SL_OK;
}

static sl_rc on_insert(decoder *d, sl_cursor *c, sl_error *err)
{
    sl_change change;
    if (!start_change(d, c, &change, SL_CHANGE_INSERT) || sl_cursor_8(c) != 'N')
        return malformed(err, "INSERT", (size_t)(c->end - c->start));
    get_new(d, c, &change);
    if (change.unchanged)
        c->bad = true; /* there is no earlier value that it could stand for */
    return hand_on(d, c, &change, err);
}

static sl_rc on_update(decoder *d, sl_cursor *c, sl_error *err)
{
    sl_change change;
    if (!start_change(d, c, &change, SL_CHANGE_UPDATE))
        return malformed(err, "UPDATE", (size_t)(c->end - c->start));
    char kind = (char)sl_cursor_8(c);
    if (kind == 'K' || kind == 'O') {
        get_old(d, c, &change, kind);
        kind = (char)sl_cursor_8(c);
    }
    if (kind != 'N')
        return malformed(err, "UPDATE", (size_t)(c->end - c->start));
    get_new(d, c, &change);
    return hand_on(d, c, &change, err);
}

static sl_rc on_delete(decoder *d, sl_cursor *c, sl_error *err)
{
    sl_change change;
    if (!start_change(d, c, &change, SL_CHANGE_DELETE))
        return malformed(err, "DELETE", (size_t)(c->end - c->start));
    char kind = (char)sl_cursor_8(c);
    if (kind != 'K' && kind != 'O')
        return malformed(err, "DELETE", (size_t)(c->end - c->start));
    get_old(d, c, &change, kind);
    return hand_on(d, c, &change, err);
}

static sl_rc on_truncate(decoder *d, sl_cursor *c, sl_error *err)
{
    size_t len = (size_t)(c->end - c->start);
    uint32_t n = sl_cursor_32(c);
    uint8_t options = sl_cursor_8(c);
    if (!d->in_txn || n == 0 || n > UINT16_MAX || sl_cursor_left(c) != 4 * (size_t)n)
        return malformed(err, "TRUNCATE", len);
    const sl_relation **rels = SL_NEW_ARRAY(&d->message, const sl_relation *, n);
    for (uint32_t i = 0; i < n; i++)
        if (!(rels[i] = find_relation(d, sl_cursor_32(c))))
            return malformed(err, "TRUNCATE", len);
    sl_change change = {
        .rel = rels[0],
        .data = c->start,
        .len = (uint32_t)len,
        .op = SL_CHANGE_TRUNCATE,
        .rels = rels,
        .n_rels = (uint16_t)n,
        .options = options,
        .seq = ++d->seq,
    };
    return d->sink.truncate ? d->sink.truncate(d->sink.self, &d->txn, &change, err) : SL_OK;
}

static sl_rc on_message(decoder *d, sl_cursor *c, sl_error *err)
{
    bool transactional = sl_cursor_8(c) & 1;
    sl_lsn lsn = sl_cursor_64(c);
    const char *prefix = sl_cursor_string(c);
    sl_cursor_skip(c, sl_cursor_32(c));
    if (!sl_cursor_complete(c) || (transactional && !d->in_txn))
        return malformed(err, "MESSAGE", (size_t)(c->end - c->start));
    return d->sink.message ? d->sink.message(d->sink.self, prefix, lsn, transactional, err) : SL_OK;
}

static sl_rc on_origin(decoder *d, sl_cursor *c, sl_error *err)
{
    sl_cursor_skip(c, 8);
    sl_cursor_string(c);
    return sl_cursor_complete(c) && d->in_txn
               ? SL_OK
               : malformed(err, "ORIGIN", (size_t)(c->end - c->start));
}

static sl_rc on_type(decoder *d, sl_cursor *c, sl_error *err)
{
    (void)d;
    sl_cursor_skip(c, 4);
    sl_cursor_string(c);
    sl_cursor_string(c);
    return sl_cursor_complete(c) ? SL_OK : malformed(err, "TYPE", (size_t)(c->end - c->start));
}

typedef sl_rc (*handler)(decoder *d, sl_cursor *c, sl_error *err);

static const handler handlers[256] = {
    ['B'] = on_begin,  ['C'] = on_commit, ['R'] = on_relation, ['I'] = on_insert,
    ['U'] = on_update, ['D'] = on_delete, ['T'] = on_truncate, ['M'] = on_message,
    ['O'] = on_origin, ['Y'] = on_type,
};

static sl_rc decode(void *self, const void *data, size_t len, sl_lsn start, sl_error *err)
{
    decoder *d = self;
    (void)start;
    sl_cursor c = { data, data, (const uint8_t *)data + len, false };
    uint8_t type = sl_cursor_8(&c);
    if (!handlers[type]) {
        sl_fail(err, SL_FAILED, "the source sent a message of unknown kind 0x%02x (%zu bytes)",
                type, len);
        return sl_hint(err, "report this with the source's PostgreSQL version");
    }
    if (d->message.used)
        sl_arena_reset(&d->message);
    return handlers[type](d, &c, err);
}

/* ---- life ---- */

static void *create(const sl_sink *sink, const sl_catalog *catalog)
{
    decoder *d = sl_xcalloc(1, sizeof(*d));
    (void)catalog;
    d->sink = *sink;
    d->by_oid = sl_map_new();
    return d;
}

static void destroy(void *self)
{
    decoder *d = self;
    if (!d)
        return;
    sl_map_free(d->by_oid);
    sl_arena_free(&d->relations);
    sl_arena_free(&d->message);
    free(d);
}

static bool in_transaction(const void *self)
{
    return ((const decoder *)self)->in_txn;
}

/* publication_names is a list of identifiers inside a literal: quoted twice. */
static char *options(const sl_decoder_request *r, sl_arena *arena)
{
    SL_BUF(names);
    bool second = r->version >= SL_PG_14; /* version 2 of the protocol */
    for (size_t i = 0; r->publications[i]; i++)
        sl_sql_add(&names, i ? ",%I" : "%I", r->publications[i]);
    return sl_sql(arena, "proto_version '%d', publication_names %L%s%s", second ? 2 : 1,
                  sl_buf_str(&names), second && r->binary ? ", binary 'true'" : "",
                  second ? ", messages 'true'" : "");
}

const sl_decoder sl_decoder_pgoutput = { "pgoutput", options,        create,
                                         decode,     in_transaction, destroy };
