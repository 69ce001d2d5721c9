/* sluice_decoder.c: decodes what the output plugin pgsluice_decoding writes.
 *
 * Source: decoding/PROTOCOL.md, version 1.
 *
 * A message holds records. One function per kind of record, found through a table by its first
 * byte; each reads its fields with a cursor that remembers an underflow, which is looked at before
 * anything of the record is handed on. The plugin packs a row tightly; here it is spread out again
 * into a buffer in the form of pgoutput's TupleData, whose first two bytes serve for all values
 * that are NULL or were not sent.
 *
 * Invariants:
 *  1. START comes first, and once.
 *  2. A row change lies between BEGIN and COMMIT, and its relation was described before.
 *  3. A transaction is committed only if it had as many changes as the plugin counted.
 *  4. A relation that is described again with the same bytes keeps its sl_relation.
 *
 * It does not know which relations are wanted, and it does not interpret values. */
#include <stdlib.h>
#include <string.h>

#include "stream/cursor.h"
#include "stream/decoder.h"

#define PROTOCOL_MIN 1
#define PROTOCOL_MAX 1
#define MAX_WIDTH 32 /* of values of fixed width */
#define MAX_RELATIONS (1u << 24)

enum { NULL_VALUE, UNSENT_VALUE, FIRST_VALUE }; /* offsets in the row buffer */

typedef struct table {
    sl_relation *rel;
    uint8_t *formats; /* per column: 't', 'b', or a width */
    uint16_t n_keys;
} table;

typedef struct decoder {
    sl_sink sink;
    sl_arena relations; /* all versions of all relations */
    sl_arena message;   /* of the current record */
    sl_map *by_oid;     /* uint32_t → the current table */
    table **tables;     /* by the plugin's number */
    size_t n_tables;
    sl_buf row;
    sl_txn txn;
    bool started, in_txn;
    uint32_t seq;
    uint32_t old_off[SL_MAX_COLUMNS], new_off[SL_MAX_COLUMNS];
} decoder;

static sl_rc malformed(sl_error *err, const char *what)
{
    sl_fail(err, SL_FAILED, "the source's pgsluice_decoding sent a malformed %s record", what);
    return sl_hint(err,
                   "Install the pgsluice_decoding that came with this pgsluice on the source, or "
                   "report this; nothing of the record was applied.");
}

/* Only bits that this version knows? */
static bool flags_known(sl_cursor *c, uint8_t flags, uint8_t known)
{
    c->bad |= (flags & ~known) != 0;
    return !c->bad;
}

/* ---- session and transactions ---- */

static sl_rc on_start(decoder *d, sl_cursor *c, sl_error *err)
{
    const uint8_t *magic = sl_cursor_bytes(c, 4);
    uint8_t version = sl_cursor_8(c);
    sl_cursor_skip(c, 4); /* the server's version */
    sl_cursor_skip(c, 1); /* binary: every column says it for itself */
    sl_cursor_string(c);
    const char *plugin = sl_cursor_string(c);
    if (c->bad || d->started || memcmp(magic, "PGSL", 4) != 0)
        return malformed(err, "START");
    if (version < PROTOCOL_MIN || version > PROTOCOL_MAX) {
        sl_fail(
            err, SL_FAILED,
            "the source's pgsluice_decoding %s speaks protocol version %d, this pgsluice %d to %d",
            plugin, version, PROTOCOL_MIN, PROTOCOL_MAX);
        return sl_hint(err,
                       "Install the pgsluice_decoding that came with this pgsluice on the source.");
    }
    d->started = true;
    return SL_OK;
}

static sl_rc on_begin(decoder *d, sl_cursor *c, sl_error *err)
{
    uint8_t flags = sl_cursor_8(c);
    sl_txn txn = { .xid = sl_cursor_32(c) };
    txn.commit_lsn = sl_cursor_64(c);
    txn.commit_us = (int64_t)sl_cursor_64(c) + SL_PG_EPOCH_US;
    if (flags & 1) { /* the origin */
        sl_cursor_skip(c, 8);
        sl_cursor_string(c);
    }
    if (!flags_known(c, flags, 1) || d->in_txn)
        return malformed(err, "BEGIN");
    d->txn = txn;
    d->in_txn = true;
    d->seq = 0;
    return d->sink.begin ? d->sink.begin(d->sink.self, &d->txn, err) : SL_OK;
}

static sl_rc on_commit(decoder *d, sl_cursor *c, sl_error *err)
{
    sl_lsn end = sl_cursor_64(c);
    uint64_t length = sl_cursor_varint(c), changes = sl_cursor_varint(c);
    if (c->bad || !d->in_txn || length > end || end - length != d->txn.commit_lsn)
        return malformed(err, "COMMIT");
    if (changes != d->seq) {
        sl_fail(err, SL_FAILED,
                "transaction %u of the source has %llu changes, but %u of them came here",
                d->txn.xid, (unsigned long long)changes, d->seq);
        return sl_hint(err,
                       "Report this; nothing of the transaction is kept. Running again reads it "
                       "anew.");
    }
    d->txn.end_lsn = end;
    d->in_txn = false;
    return d->sink.commit ? d->sink.commit(d->sink.self, &d->txn, err) : SL_OK;
}

/* ---- relations ---- */

static sl_rc on_type(decoder *d, sl_cursor *c, sl_error *err)
{
    (void)d;
    sl_cursor_skip(c, 4 + 4 + 1);
    sl_cursor_string(c);
    sl_cursor_string(c);
    return c->bad ? malformed(err, "TYPE") : SL_OK;
}

/* Passes over a description; its strings are read again from a copy that stays. */
static bool skip_description(sl_cursor *c)
{
    sl_cursor_skip(c, 4 + 1 + 1);
    sl_cursor_string(c);
    sl_cursor_string(c);
    uint16_t n = sl_cursor_16(c);
    c->bad |= n > SL_MAX_COLUMNS;
    for (uint16_t i = 0; i < n && !c->bad; i++) {
        uint8_t key = sl_cursor_8(c), format = sl_cursor_8(c);
        c->bad |= (key & ~1) || (format != 't' && format != 'b' && (!format || format > MAX_WIDTH));
        sl_cursor_skip(c, 4 + 4);
        sl_cursor_string(c);
    }
    return !c->bad;
}

static table *read_description(decoder *d, const uint8_t *raw, size_t len)
{
    sl_cursor c = { raw, raw, raw + len, false };
    table *t = SL_NEW(&d->relations, table);
    sl_relation *rel = t->rel = SL_NEW(&d->relations, sl_relation);
    *rel = (sl_relation){ .oid = sl_cursor_32(&c), .raw = raw, .raw_len = len };
    sl_cursor_skip(&c, 1); /* relkind */
    rel->identity = (char)sl_cursor_8(&c);
    rel->schema = sl_cursor_string(&c);
    rel->table = sl_cursor_string(&c);
    rel->n_columns = sl_cursor_16(&c);
    rel->columns = SL_NEW_ARRAY(&d->relations, sl_rel_column, rel->n_columns);
    t->formats = sl_arena_zalloc(&d->relations, rel->n_columns);
    for (uint16_t i = 0; i < rel->n_columns; i++) {
        sl_rel_column *column = &rel->columns[i];
        column->key = sl_cursor_8(&c) & 1;
        t->formats[i] = sl_cursor_8(&c);
        column->text = t->formats[i] == 't';
        column->type = sl_cursor_32(&c);
        column->typmod = (int32_t)sl_cursor_32(&c);
        column->name = sl_cursor_string(&c);
        t->n_keys += column->key;
    }
    return t;
}

static void number_table(decoder *d, uint64_t number, table *t)
{
    if (number >= d->n_tables) {
        size_t n = d->n_tables ? d->n_tables : 64;
        while (n <= number)
            n *= 2;
        d->tables = sl_xrealloc(d->tables, n * sizeof(*d->tables));
        memset(d->tables + d->n_tables, 0, (n - d->n_tables) * sizeof(*d->tables));
        d->n_tables = n;
    }
    d->tables[number] = t;
}

static sl_rc on_relation(decoder *d, sl_cursor *c, sl_error *err)
{
    uint64_t number = sl_cursor_varint(c);
    const uint8_t *raw = c->p;
    if (!skip_description(c) || number >= MAX_RELATIONS)
        return malformed(err, "RELATION");
    size_t len = (size_t)(c->p - raw);
    uint32_t oid = sl_get32(raw);
    table *old = sl_map_get(d->by_oid, &oid, sizeof(oid));
    if (old && old->rel->raw_len == len && memcmp(old->rel->raw, raw, len) == 0) {
        number_table(d, number, old);
        return SL_OK;
    }
    table *t = read_description(d, sl_arena_bytes(&d->relations, raw, len), len);
    sl_map_put(d->by_oid, &oid, sizeof(oid), t);
    number_table(d, number, t);
    return d->sink.relation ? d->sink.relation(d->sink.self, t->rel, err) : SL_OK;
}

static const table *get_table(decoder *d, sl_cursor *c)
{
    uint64_t number = sl_cursor_varint(c);
    const table *t = number < d->n_tables ? d->tables[number] : NULL;
    if (!t)
        c->bad = true;
    return t;
}

/* ---- rows ---- */

static bool bit(const uint8_t *map, unsigned i)
{
    return map && map[i / 8] >> (i % 8) & 1;
}

/* One value to the end of the row buffer, which has room. */
static void get_value(decoder *d, sl_cursor *c, uint8_t format)
{
    bool varying = format == 't' || format == 'b';
    uint64_t len = varying ? sl_cursor_varint(c) : format;
    uint8_t *out = (uint8_t *)d->row.data + d->row.len;
    if (len > sl_cursor_left(c)) {
        c->bad = true;
        return;
    }
    out[0] = format == 't' ? 't' : 'b';
    sl_put32(out + 1, (uint32_t)len);
    memcpy(out + 5, c->p, len);
    c->p += len;
    d->row.len += 5 + len;
}

/* Offsets of a row's values; of a key, columns that do not belong to it are NULL. */
static void get_row(decoder *d, sl_cursor *c, const table *t, bool keys_only, uint32_t *off,
                    bool *unsent)
{
    unsigned n = keys_only ? t->n_keys : t->rel->n_columns, k = 0;
    uint8_t flags = sl_cursor_8(c);
    flags_known(c, flags, 1 | 2);
    const uint8_t *nulls = flags & 1 ? sl_cursor_bytes(c, (n + 7) / 8) : NULL;
    const uint8_t *missing = flags & 2 ? sl_cursor_bytes(c, (n + 7) / 8) : NULL;
    for (uint16_t i = 0; i < t->rel->n_columns && !c->bad; i++) {
        off[i] = NULL_VALUE;
        if (keys_only && !t->rel->columns[i].key)
            continue;
        unsigned this = k++;
        if (bit(nulls, this))
            continue;
        if (bit(missing, this)) {
            off[i] = UNSENT_VALUE;
            *unsent = true;
            continue;
        }
        off[i] = (uint32_t)d->row.len;
        get_value(d, c, t->formats[i]);
    }
}

/* What follows the number, and the operation. */
static const struct shape {
    uint8_t op;    /* sl_change_op */
    char old_kind; /* 'K', 'O', or 0 */
    bool new_row;
} shapes[256] = {
    ['I'] = { SL_CHANGE_INSERT, 0, true },    ['U'] = { SL_CHANGE_UPDATE, 0, true },
    ['K'] = { SL_CHANGE_UPDATE, 'K', true },  ['F'] = { SL_CHANGE_UPDATE, 'O', true },
    ['D'] = { SL_CHANGE_DELETE, 'K', false }, ['E'] = { SL_CHANGE_DELETE, 'O', false },
};

static void start_row(decoder *d, const sl_cursor *c, const table *t)
{
    /* A value takes at most 5 bytes more than in the message, in each of two rows. */
    sl_buf_clear(&d->row);
    sl_buf_reserve(&d->row,
                   FIRST_VALUE + sl_cursor_left(c) + 2 * 5 * (size_t)t->rel->n_columns + 1);
    d->row.data[NULL_VALUE] = 'n';
    d->row.data[UNSENT_VALUE] = 'u';
    d->row.len = FIRST_VALUE;
}

static sl_rc on_change(decoder *d, sl_cursor *c, sl_error *err)
{
    const struct shape *shape = &shapes[c->p[-1]];
    const table *t = get_table(d, c);
    sl_change change = { .op = shape->op, .old_kind = shape->old_kind };
    bool unsent_old = false;
    if (!t || !d->in_txn)
        return malformed(err, sl_change_op_name(shape->op));
    start_row(d, c, t);
    if (shape->old_kind) {
        get_row(d, c, t, shape->old_kind == 'K', d->old_off, &unsent_old);
        change.old_off = d->old_off;
    }
    if (shape->new_row) {
        get_row(d, c, t, false, d->new_off, &change.unchanged);
        change.new_off = d->new_off;
    }
    /* For an INSERT there is no earlier value that an unsent one could stand for. */
    if (c->bad || d->row.len > UINT32_MAX || (change.unchanged && change.op == SL_CHANGE_INSERT))
        return malformed(err, sl_change_op_name(shape->op));
    change.rel = t->rel;
    change.data = (const uint8_t *)d->row.data;
    change.len = (uint32_t)d->row.len;
    change.seq = ++d->seq;
    return d->sink.change ? d->sink.change(d->sink.self, &d->txn, &change, err) : SL_OK;
}

static sl_rc on_truncate(decoder *d, sl_cursor *c, sl_error *err)
{
    const uint8_t *start = c->p;
    uint8_t options = sl_cursor_8(c);
    uint64_t n = sl_cursor_varint(c);
    if (!flags_known(c, options, SL_TRUNCATE_CASCADE | SL_TRUNCATE_RESTART) || !d->in_txn ||
        n == 0 || n > UINT16_MAX || n > sl_cursor_left(c))
        return malformed(err, "TRUNCATE");
    const sl_relation **rels = SL_NEW_ARRAY(&d->message, const sl_relation *, n);
    for (uint64_t i = 0; i < n; i++) {
        const table *t = get_table(d, c);
        if (!t)
            return malformed(err, "TRUNCATE");
        rels[i] = t->rel;
    }
    sl_change change = { .rel = rels[0],
                         .data = start,
                         .len = (uint32_t)(c->p - start),
                         .op = SL_CHANGE_TRUNCATE,
                         .rels = rels,
                         .n_rels = (uint16_t)n,
                         .options = options,
                         .seq = ++d->seq };
    return d->sink.truncate ? d->sink.truncate(d->sink.self, &d->txn, &change, err) : SL_OK;
}

static sl_rc on_message(decoder *d, sl_cursor *c, sl_error *err)
{
    uint8_t flags = sl_cursor_8(c);
    sl_lsn lsn = sl_cursor_64(c);
    const char *prefix = sl_cursor_string(c);
    uint64_t len = sl_cursor_varint(c);
    c->bad |= len > sl_cursor_left(c);
    sl_cursor_skip(c, c->bad ? 0 : (size_t)len);
    if (!flags_known(c, flags, 1) || ((flags & 1) && !d->in_txn))
        return malformed(err, "MESSAGE");
    return d->sink.message ? d->sink.message(d->sink.self, prefix, lsn, flags & 1, err) : SL_OK;
}

static sl_rc on_progress(decoder *d, sl_cursor *c, sl_error *err)
{
    (void)d, (void)c, (void)err;
    return SL_OK;
}

typedef sl_rc (*handler)(decoder *d, sl_cursor *c, sl_error *err);

static const handler handlers[256] = {
    ['S'] = on_start,    ['B'] = on_begin,    ['C'] = on_commit, ['Y'] = on_type,
    ['R'] = on_relation, ['I'] = on_change,   ['U'] = on_change, ['K'] = on_change,
    ['F'] = on_change,   ['D'] = on_change,   ['E'] = on_change, ['T'] = on_truncate,
    ['M'] = on_message,  ['P'] = on_progress,
};

/* All of the message's records, one after the other. */
static sl_rc decode(void *self, const void *data, size_t len, sl_lsn start, sl_error *err)
{
    decoder *d = self;
    (void)start;
    sl_cursor c = { data, data, (const uint8_t *)data + len, false };
    if (len == 0)
        return malformed(err, "empty");
    while (c.p < c.end) {
        uint8_t kind = sl_cursor_8(&c);
        if (!handlers[kind] || (kind != 'S' && !d->started)) {
            sl_fail(err, SL_FAILED,
                    "the source's pgsluice_decoding sent a record of unexpected kind 0x%02x", kind);
            return sl_hint(err, "Report this with the versions of the source and of the plugin.");
        }
        if (d->message.used)
            sl_arena_reset(&d->message);
        if (handlers[kind](d, &c, err) != SL_OK)
            return err->code;
    }
    return SL_OK;
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
    free(d->tables);
    sl_buf_free(&d->row);
    sl_arena_free(&d->relations);
    sl_arena_free(&d->message);
    free(d);
}

static bool in_transaction(const void *self)
{
    return ((const decoder *)self)->in_txn;
}

static char *options(const sl_decoder_request *r, sl_arena *arena)
{
    SL_BUF(sql);
    sl_sql_add(&sql, "min_proto_version '%d', max_proto_version '%d', binary '%s'", PROTOCOL_MIN,
               PROTOCOL_MAX, r->binary ? "on" : "off");
    /* Without a table nothing is wanted; no list would mean all. */
    sl_sql_add(&sql, r->oids && r->oids[0] ? ", oids %L" : ", tables ''", r->oids);
    if (r->columns && r->columns[0])
        sl_sql_add(&sql, ", columns %L", r->columns);
    if (r->exclude_columns && r->exclude_columns[0])
        sl_sql_add(&sql, ", exclude_columns %L", r->exclude_columns);
    return sl_arena_strdup(arena, sl_buf_str(&sql));
}

const sl_decoder sl_decoder_sluice = { "pgsluice_decoding", options, create, decode,
                                       in_transaction,      destroy };
