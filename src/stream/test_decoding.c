/* test_decoding.c: decodes the text that the output plugin test_decoding writes, which every server
 * from 9.4 on can have without installing anything but its contrib modules.
 *
 * Sources: contrib/test_decoding/test_decoding.c of 9.4 to 18, quote_identifier, format_type.
 *
 * The text does not tell OIDs, keys, or where a transaction commits. So tables are looked up in the
 * source's catalog, as they are now, and a transaction is kept until its COMMIT (in memory, beyond
 * 64 MiB in a file without a name in $TMPDIR). The position behind the COMMIT is that of its
 * message; commit_lsn, which is not known, is given as one byte before it: compared with the ends
 * of other records both say the same.
 *
 * With COMMIT the messages are read one by one: a scanner that knows SQL's two kinds of quotes
 * takes the text apart, the values go into a buffer in the form of pgoutput's TupleData, and the
 * table is matched with the catalog.
 *
 * Invariants:
 *  1. A new row names every column of its table; an old one names columns that are not NULL.
 *  2. A table that is named again with the same columns keeps its sl_relation.
 *  3. What cannot be read as said there is an error, never skipped.
 *
 * Traps that it knows: a value is unquoted for numbers and booleans only; null and
 * unchanged-toast-datum are values only without quotes; types may contain brackets and quotes; a
 * table WITH OIDS shows a column oid that is none; generated columns and heaps that ALTER TABLE
 * rewrites (up to 10) are shown and not wanted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stream/decoder.h"

#define KEEP_BYTES ((size_t)64 << 20) /* of a transaction in memory */

enum { NULL_VALUE, UNSENT_VALUE, FIRST_VALUE }; /* offsets in the row buffer */

typedef struct text {
    const char *p, *end;
    bool bad;
} text;

typedef struct field {
    const char *name; /* in the message's arena */
    const char *type; /* its text */
    size_t type_len;
    uint32_t off;
} field;

typedef struct tuple {
    field *fields;
    size_t n;
    bool present, unsent;
} tuple;

typedef struct table {
    sl_relation *rel;
    const char *signature; /* names and types of the new row that made it; "": the catalog did */
    const char **hidden;   /* generated columns, which rows show */
    size_t n_hidden;
} table;

typedef struct decoder {
    sl_sink sink;
    sl_catalog catalog;
    sl_arena relations, message;
    sl_map *tables; /* "schema\0table" → the current table */
    sl_buf kept;    /* messages of the open transaction, each after its length and position */
    FILE *spilled;  /* what did not fit */
    sl_buf row;
    sl_txn txn;
    bool in_txn;
    uint32_t seq;
    uint32_t old_off[SL_MAX_COLUMNS], new_off[SL_MAX_COLUMNS];
} decoder;

static sl_rc malformed(sl_error *err, const char *what, const char *p, const char *end)
{
    int n = end - p > 60 ? 60 : (int)(end - p);
    sl_fail(err, SL_FAILED, "the source's test_decoding wrote %s that cannot be read: \"%.*s\"",
            what, n, p);
    return sl_hint(err,
                   "Report this with the source's version. The decoders pgoutput (10 and newer) "
                   "and pgsluice do not depend on this text.");
}

/* ---- scanning ---- */

static bool accept(text *t, const char *word)
{
    size_t n = strlen(word);
    if (t->bad || (size_t)(t->end - t->p) < n || memcmp(t->p, word, n) != 0)
        return false;
    t->p += n;
    return true;
}

static void expect(text *t, const char *word)
{
    if (!accept(t, word))
        t->bad = true;
}

/* Text in quotes of that kind, which are doubled inside, to the end of out; the opening one is
 * read. */
static void get_quoted(text *t, char quote, sl_buf *out)
{
    while (t->p < t->end) {
        const char *q = memchr(t->p, quote, (size_t)(t->end - t->p));
        if (!q)
            break;
        bool doubled = q + 1 < t->end && q[1] == quote;
        sl_buf_add(out, t->p, (size_t)(q - t->p) + doubled);
        t->p = q + 1 + doubled;
        if (!doubled)
            return;
    }
    t->bad = true;
}

/* An identifier as quote_identifier writes it, ended by one of `ends`. */
static const char *get_name(decoder *d, text *t, const char *ends)
{
    if (accept(t, "\"")) {
        SL_BUF(name);
        get_quoted(t, '"', &name);
        return sl_arena_strdup(&d->message, sl_buf_str(&name));
    }
    const char *start = t->p;
    while (t->p < t->end && *t->p && !strchr(ends, *t->p))
        t->p++;
    t->bad |= t->p == start;
    return sl_arena_strndup(&d->message, start, (size_t)(t->p - start));
}

/* "[type]:", where the type may itself have brackets and quotes. */
static void get_type(text *t, field *f)
{
    int depth = 1;
    expect(t, "[");
    f->type = t->p;
    for (bool quoted = false; t->p < t->end; t->p++) {
        if (*t->p == '"')
            quoted = !quoted;
        else if (!quoted && *t->p == '[')
            depth++;
        else if (!quoted && *t->p == ']' && --depth == 0)
            break;
    }
    f->type_len = (size_t)(t->p - f->type);
    expect(t, "]:");
}

/* ---- values ---- */

static void begin_value(decoder *d, field *f)
{
    f->off = (uint32_t)d->row.len;
    sl_buf_add(&d->row, "t\0\0\0\0", 5);
}

static void end_value(decoder *d, const field *f)
{
    sl_put32(d->row.data + f->off + 1, (uint32_t)(d->row.len - f->off - 5));
}

/* A word without quotes: a number, or true or false. */
static void get_word(decoder *d, text *t, field *f)
{
    const char *end = memchr(t->p, ' ', (size_t)(t->end - t->p));
    if (!end)
        end = t->end;
    size_t n = (size_t)(end - t->p);
    bool boolean = f->type_len == 7 && memcmp(f->type, "boolean", 7) == 0;
    t->bad |= n == 0 || memchr(t->p, '\'', n) != NULL;
    sl_buf_add(&d->row, t->p, boolean ? 1 : n); /* pgoutput's t and f */
    t->p = end;
}

static void get_value(decoder *d, text *t, field *f, bool *unsent)
{
    f->off = NULL_VALUE;
    if (accept(t, "null"))
        return;
    if (accept(t, "unchanged-toast-datum")) {
        f->off = UNSENT_VALUE;
        *unsent = true;
        return;
    }
    begin_value(d, f);
    if (accept(t, "'") || accept(t, "B'"))
        get_quoted(t, '\'', &d->row);
    else
        get_word(d, t, f);
    end_value(d, f);
}

/* " name[type]:value …" up to the end or, in an UPDATE, up to " new-tuple:". */
static void get_tuple(decoder *d, text *t, tuple *out)
{
    size_t cap = 0;
    out->present = true;
    while (!t->bad && t->p < t->end) {
        text before = *t;
        if (accept(t, " new-tuple:")) {
            *t = before;
            return;
        }
        if (out->n == cap) {
            field *more = SL_NEW_ARRAY(&d->message, field, cap = cap ? 2 * cap : 32);
            if (out->n)
                memcpy(more, out->fields, out->n * sizeof(field));
            out->fields = more;
        }
        field *f = &out->fields[out->n++];
        expect(t, " ");
        f->name = get_name(d, t, "[");
        get_type(t, f);
        if (!t->bad)
            get_value(d, t, f, &out->unsent);
        if (d->catalog.hidden_oid && out->n == 1 && strcmp(f->name, "oid") == 0)
            out->n = 0;
        t->bad |= t->p < t->end && *t->p != ' ';
    }
}

/* ---- tables ---- */

/* The name of a heap that ALTER TABLE fills: pg_temp_<oid>. */
static bool rewrite_heap(const char *name)
{
    return strncmp(name, "pg_temp_", 8) == 0 && name[8] &&
           name[8 + strspn(name + 8, "0123456789")] == 0;
}

static const sl_catalog_column *catalog_column(const sl_catalog_table *known, const char *name)
{
    for (size_t i = 0; i < known->n_columns; i++)
        if (strcmp(known->columns[i].name, name) == 0)
            return &known->columns[i];
    return NULL;
}

/* Names and types of a row, as one string that is never empty. */
static const char *signature_of(decoder *d, const tuple *row)
{
    SL_BUF(s);
    sl_buf_puts(&s, "row");
    for (size_t i = 0; i < row->n; i++) {
        sl_buf_printf(&s, " %zu:%s", strlen(row->fields[i].name), row->fields[i].name);
        sl_buf_add(&s, row->fields[i].type, row->fields[i].type_len);
    }
    return sl_arena_strdup(&d->message, sl_buf_str(&s));
}

static const field *find_field(const tuple *row, const char *name)
{
    for (size_t i = 0; i < row->n; i++)
        if (strcmp(row->fields[i].name, name) == 0)
            return &row->fields[i];
    return NULL;
}

/* Unless old rows are whole ones, they name the key columns, which is surer than the catalog of
 * today. */
static void add_column(decoder *d, table *t, const char *name, const sl_catalog_column *known,
                       const tuple *old)
{
    bool told = old->present && t->rel->identity != 'f';
    if (known && known->generated) {
        t->hidden[t->n_hidden++] = sl_arena_strdup(&d->relations, name);
        return;
    }
    t->rel->columns[t->rel->n_columns++] = (sl_rel_column){
        .name = sl_arena_strdup(&d->relations, name),
        .type = known ? known->type : 0,
        .typmod = known ? known->typmod : -1,
        .key = told ? find_field(old, name) != NULL : known && known->key,
    };
}

/* As a new row shows it; or, when there was none yet, as the catalog has it with what the old row
 * names (it may have been renamed or dropped since). */
static table *new_table(decoder *d, const char *schema, const char *name,
                        const sl_catalog_table *known, const tuple *old, const tuple *new)
{
    table *t = SL_NEW(&d->relations, table);
    size_t most = new->n + known->n_columns + old->n;
    t->signature = new->present ? sl_arena_strdup(&d->relations, signature_of(d, new)) : "";
    t->hidden = SL_NEW_ARRAY(&d->relations, const char *, most);
    t->rel = SL_NEW(&d->relations, sl_relation);
    *t->rel = (sl_relation){ .oid = known->oid,
                             .schema = sl_arena_strdup(&d->relations, schema),
                             .table = sl_arena_strdup(&d->relations, name),
                             .identity = known->identity,
                             .columns = SL_NEW_ARRAY(&d->relations, sl_rel_column, most) };
    for (size_t i = 0; i < new->n; i++)
        add_column(d, t, new->fields[i].name, catalog_column(known, new->fields[i].name), old);
    if (new->present)
        return t;
    for (size_t i = 0; i < known->n_columns; i++)
        add_column(d, t, known->columns[i].name, &known->columns[i], old);
    for (size_t i = 0; i < old->n; i++)
        if (!catalog_column(known, old->fields[i].name))
            add_column(d, t, old->fields[i].name, NULL, old);
    return t;
}

static bool is_hidden(const table *t, const char *name)
{
    for (size_t i = 0; i < t->n_hidden; i++)
        if (strcmp(t->hidden[i], name) == 0)
            return true;
    return false;
}

/* Does an old row name columns of the table, and of its key if it is not a whole row? */
static bool old_fits(const table *t, const tuple *old)
{
    for (size_t i = 0; i < old->n; i++) {
        bool found = is_hidden(t, old->fields[i].name);
        for (uint16_t k = 0; k < t->rel->n_columns && !found; k++)
            found = strcmp(t->rel->columns[k].name, old->fields[i].name) == 0 &&
                    (t->rel->columns[k].key || t->rel->identity == 'f');
        if (!found)
            return false;
    }
    return true;
}

static bool fits(decoder *d, const table *t, const tuple *old, const tuple *new)
{
    return old_fits(t, old) && (!new->present || strcmp(t->signature, signature_of(d, new)) == 0);
}

/* The table that a change is about; NULL for one whose changes nobody wants. */
static sl_rc find_table(decoder *d, const char *schema, const char *name, const tuple *old,
                        const tuple *new, table **out, sl_error *err)
{
    SL_BUF(key);
    sl_catalog_table known = { 0 };
    sl_buf_printf(&key, "%s%c%s", schema, 0, name);
    table *t = *out = sl_map_get(d->tables, key.data, key.len);
    if (t && fits(d, t, old, new))
        return SL_OK;
    *out = NULL;
    sl_rc rc = rewrite_heap(name)
                   ? SL_NOT_FOUND
                   : d->catalog.describe(d->catalog.self, schema, name, &d->message, &known, err);
    if (rc != SL_OK)
        return rc == SL_NOT_FOUND ? SL_OK : rc;
    t = new_table(d, schema, name, &known, old, new);
    if (t->rel->n_columns > SL_MAX_COLUMNS)
        return malformed(err, "a row", name, name + strlen(name));
    *out = t;
    sl_map_put(d->tables, key.data, key.len, t);
    return d->sink.relation ? d->sink.relation(d->sink.self, t->rel, err) : SL_OK;
}

/* ---- changes ---- */

/* A row that made its table names its columns in their order. */
static bool new_offsets(const table *t, const tuple *row, uint32_t *off)
{
    uint16_t k = 0;
    for (size_t i = 0; i < row->n; i++) {
        if (t->n_hidden && is_hidden(t, row->fields[i].name))
            continue;
        if (k == t->rel->n_columns)
            return false;
        off[k++] = row->fields[i].off;
    }
    return k == t->rel->n_columns;
}

static void old_offsets(const table *t, const tuple *row, uint32_t *off)
{
    for (uint16_t k = 0; k < t->rel->n_columns; k++) {
        const field *f = find_field(row, t->rel->columns[k].name);
        off[k] = f ? f->off : NULL_VALUE;
    }
}

static sl_rc hand_on(decoder *d, const char *schema, const char *name, sl_change_op op,
                     const tuple *old, const tuple *new, sl_error *err)
{
    table *t;
    if (find_table(d, schema, name, old, new, &t, err) != SL_OK)
        return err->code;
    sl_change change = { .op = (uint8_t)op, .seq = ++d->seq };
    if (!t)
        return SL_OK;
    change.rel = t->rel;
    if (old->present) {
        change.old_kind = t->rel->identity == 'f' ? 'O' : 'K';
        old_offsets(t, old, d->old_off);
        change.old_off = d->old_off;
    }
    if (new->present) {
        if (!new_offsets(t, new, d->new_off))
            return malformed(err, "a row", name, name + strlen(name));
        change.new_off = d->new_off;
        change.unchanged = new->unsent;
    }
    change.data = (const uint8_t *)d->row.data;
    change.len = (uint32_t)d->row.len;
    return d->sink.change ? d->sink.change(d->sink.self, &d->txn, &change, err) : SL_OK;
}

static sl_rc on_row(decoder *d, text *t, const char *schema, const char *name, sl_error *err)
{
    const char *start = t->p;
    tuple old = { 0 }, new = { 0 };
    sl_change_op op = accept(t, " INSERT:")   ? SL_CHANGE_INSERT
                      : accept(t, " UPDATE:") ? SL_CHANGE_UPDATE
                                              : SL_CHANGE_DELETE;
    if (op == SL_CHANGE_DELETE)
        expect(t, " DELETE:");
    sl_buf_clear(&d->row);
    sl_buf_add(&d->row, "nu", FIRST_VALUE);
    if (op == SL_CHANGE_DELETE && accept(t, " (no-tuple-data)"))
        return SL_OK; /* without replica identity nobody can tell which row */
    if (op == SL_CHANGE_DELETE)
        get_tuple(d, t, &old);
    else {
        if (op == SL_CHANGE_UPDATE && accept(t, " old-key:")) {
            get_tuple(d, t, &old);
            expect(t, " new-tuple:");
        }
        get_tuple(d, t, &new);
    }
    if (t->bad || t->p != t->end || old.n > SL_MAX_COLUMNS || new.n > SL_MAX_COLUMNS ||
        d->row.len > UINT32_MAX || (new.unsent &&op == SL_CHANGE_INSERT))
        return malformed(err, "a change", start, t->end);
    return hand_on(d, schema, name, op, &old, &new, err);
}

static sl_rc on_truncate(decoder *d, text *t, const char *const *names, size_t n, sl_error *err)
{
    static const tuple none = { 0 };
    const char *start = t->p;
    sl_change change = { .op = SL_CHANGE_TRUNCATE, .data = (const uint8_t *)"", .seq = ++d->seq };
    const sl_relation **rels = SL_NEW_ARRAY(&d->message, const sl_relation *, n);
    expect(t, " TRUNCATE:");
    if (!accept(t, " (no-flags)")) {
        change.options |= accept(t, " restart_seqs") ? SL_TRUNCATE_RESTART : 0;
        change.options |= accept(t, " cascade") ? SL_TRUNCATE_CASCADE : 0;
        t->bad |= !change.options;
    }
    if (t->bad || t->p != t->end || n > UINT16_MAX)
        return malformed(err, "a TRUNCATE", start, t->end);
    for (size_t i = 0; i < n; i++) {
        table *found;
        if (find_table(d, names[2 * i], names[2 * i + 1], &none, &none, &found, err) != SL_OK)
            return err->code;
        if (found)
            rels[change.n_rels++] = found->rel;
    }
    if (change.n_rels == 0)
        return SL_OK;
    change.rel = rels[0];
    change.rels = rels;
    return d->sink.truncate ? d->sink.truncate(d->sink.self, &d->txn, &change, err) : SL_OK;
}

/* "schema.table" and, for a TRUNCATE, ", schema.table …", up to the colon. */
static sl_rc on_table(decoder *d, text *t, sl_error *err)
{
    const char *start = t->p;
    size_t n = 0, cap = 0;
    const char **names = NULL;
    do {
        if (n == cap) {
            const char **more =
                SL_NEW_ARRAY(&d->message, const char *, 2 * (cap = cap ? 2 * cap : 4));
            if (n)
                memcpy(more, names, 2 * n * sizeof(*names));
            names = more;
        }
        names[2 * n] = get_name(d, t, ".");
        expect(t, ".");
        names[2 * n + 1] = get_name(d, t, ":,");
        n++;
    } while (accept(t, ", "));
    expect(t, ":");
    text ahead = *t;
    if (t->bad)
        return malformed(err, "a table's name", start, t->end);
    if (accept(&ahead, " TRUNCATE:"))
        return on_truncate(d, t, names, n, err);
    return n == 1 ? on_row(d, t, names[0], names[1], err)
                  : malformed(err, "a change", start, t->end);
}

/* ---- other messages ---- */

static bool get_number(text *t, uint64_t *out)
{
    const char *start = t->p;
    *out = 0;
    while (t->p < t->end && *t->p >= '0' && *t->p <= '9' && t->p - start < 19)
        *out = *out * 10 + (uint64_t)(*t->p++ - '0');
    t->bad |= t->p == start;
    return !t->bad;
}

/* "transactional: 1 prefix: p, sz: 3 content:abc" */
static sl_rc on_message(decoder *d, text *t, sl_lsn start, sl_error *err)
{
    const char *begin = t->p;
    uint64_t transactional, size = 0;
    SL_BUF(prefix);
    expect(t, " transactional: ");
    get_number(t, &transactional);
    expect(t, " prefix: ");
    /* The prefix may contain anything: the size that fits what follows it tells where it ends. */
    for (const char *p = t->p; !t->bad; p++) {
        p = memchr(p, ',', (size_t)(t->end - p));
        text rest = { p, t->end, p == NULL };
        if (!p)
            t->bad = true;
        else if (accept(&rest, ", sz: ") && get_number(&rest, &size) &&
                 accept(&rest, " content:") && (uint64_t)(rest.end - rest.p) == size) {
            sl_buf_add(&prefix, t->p, (size_t)(p - t->p));
            break;
        }
    }
    if (t->bad || transactional > 1)
        return malformed(err, "a logical message", begin, t->end);
    if (!d->sink.message)
        return SL_OK;
    /* A transaction with nothing else has neither BEGIN nor COMMIT (up to 15). */
    return d->sink.message(d->sink.self, sl_buf_str(&prefix), start, transactional && d->in_txn,
                           err);
}

/* " (at 2000-01-01 00:00:00.123456+00)", by DateStyle ISO. */
static void get_time(text *t, int64_t *us)
{
    struct tm tm = { 0 };
    int used = 0;
    char buf[64] = "";
    size_t n = (size_t)(t->end - t->p);
    if (n >= sizeof(buf) || t->bad) {
        t->bad = true;
        return;
    }
    memcpy(buf, t->p, n);
    t->bad |= sscanf(buf, " (at %4d-%2d-%2d %2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                     &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 6;
    int64_t fraction = 0, unit = 100000, offset = 0;
    const char *p = buf + used;
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
            fraction += (*p - '0') * unit;
    int sign = *p == '-' ? -1 : 1, part, factor = 3600;
    for (; (*p == '+' || *p == '-' || *p == ':') && factor; factor /= 60) {
        if (sscanf(++p, "%2d%n", &part, &used) != 1)
            break;
        offset += (int64_t)part * factor;
        p += used;
    }
    t->bad |= strcmp(p, ")") != 0;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *us = ((int64_t)timegm(&tm) - sign * offset) * 1000000 + fraction;
    t->p = t->end;
}

/* ---- keeping a transaction ---- */

static sl_rc spill_failed(sl_error *err)
{
    sl_fail_errno(err, SL_FAILED, "keeping a large transaction in a temporary file");
    return sl_hint(err,
                   "Set TMPDIR to a directory with room for the source's largest transaction, or "
                   "use the decoder pgsluice, which needs none.");
}

static sl_rc keep(decoder *d, const void *data, size_t len, sl_lsn start, sl_error *err)
{
    if (d->kept.len + len > KEEP_BYTES && d->kept.len > 0) {
        if (!d->spilled && !(d->spilled = tmpfile()))
            return spill_failed(err);
        if (fwrite(d->kept.data, 1, d->kept.len, d->spilled) != d->kept.len)
            return spill_failed(err);
        sl_buf_clear(&d->kept);
    }
    sl_buf_put64(&d->kept, len);
    sl_buf_put64(&d->kept, start);
    sl_buf_add(&d->kept, data, len);
    return SL_OK;
}

static sl_rc replay_one(decoder *d, const char *data, size_t len, sl_lsn start, sl_error *err)
{
    text t = { data, data + len, false };
    sl_arena_reset(&d->message);
    if (accept(&t, "message:"))
        return on_message(d, &t, start, err);
    if (accept(&t, "table "))
        return on_table(d, &t, err);
    return malformed(err, "a message", data, t.end);
}

static sl_rc replay_spilled(decoder *d, sl_error *err)
{
    SL_BUF(data);
    uint8_t head[16];
    rewind(d->spilled);
    while (fread(head, 1, sizeof(head), d->spilled) == sizeof(head)) {
        size_t len = sl_get64(head);
        sl_buf_clear(&data);
        sl_buf_reserve(&data, len + 1);
        if (fread(data.data, 1, len, d->spilled) != len)
            return spill_failed(err);
        if (replay_one(d, data.data, len, sl_get64(head + 8), err) != SL_OK)
            return err->code;
    }
    bool failed = ferror(d->spilled);
    fclose(d->spilled);
    d->spilled = NULL;
    return failed ? spill_failed(err) : SL_OK;
}

static sl_rc replay(decoder *d, sl_error *err)
{
    if (d->spilled && replay_spilled(d, err) != SL_OK)
        return err->code;
    for (size_t at = 0; at < d->kept.len;) {
        size_t len = sl_get64(d->kept.data + at);
        sl_lsn start = sl_get64(d->kept.data + at + 8);
        if (replay_one(d, d->kept.data + at + 16, len, start, err) != SL_OK)
            return err->code;
        at += 16 + len;
    }
    return SL_OK;
}

static sl_rc on_begin(decoder *d, text *t, sl_error *err)
{
    uint64_t xid;
    const char *start = t->p;
    expect(t, " ");
    if (!get_number(t, &xid) || t->p != t->end || d->in_txn || xid > UINT32_MAX)
        return malformed(err, "a BEGIN", start, t->end);
    d->txn = (sl_txn){ .xid = (uint32_t)xid };
    d->in_txn = true;
    d->seq = 0;
    sl_buf_clear(&d->kept);
    return SL_OK;
}

static sl_rc on_commit(decoder *d, text *t, sl_lsn end, sl_error *err)
{
    uint64_t xid;
    const char *start = t->p;
    expect(t, " ");
    get_number(t, &xid);
    get_time(t, &d->txn.commit_us);
    if (t->bad || !d->in_txn || xid != d->txn.xid || end == 0)
        return malformed(err, "a COMMIT", start, t->end);
    d->txn.commit_lsn = end - 1;
    if (d->sink.begin && d->sink.begin(d->sink.self, &d->txn, err) != SL_OK)
        return err->code;
    if (replay(d, err) != SL_OK)
        return err->code;
    d->txn.end_lsn = end;
    d->in_txn = false;
    return d->sink.commit ? d->sink.commit(d->sink.self, &d->txn, err) : SL_OK;
}

static sl_rc decode(void *self, const void *data, size_t len, sl_lsn start, sl_error *err)
{
    decoder *d = self;
    text t = { data, (const char *)data + len, false };
    if (accept(&t, "BEGIN"))
        return on_begin(d, &t, err);
    if (accept(&t, "COMMIT"))
        return on_commit(d, &t, start, err);
    if (d->in_txn)
        return keep(d, data, len, start, err);
    if (accept(&t, "message:"))
        return on_message(d, &t, start, err);
    return malformed(err, "a message", data, t.end);
}

/* ---- life ---- */

static void *create(const sl_sink *sink, const sl_catalog *catalog)
{
    decoder *d = sl_xcalloc(1, sizeof(*d));
    d->sink = *sink;
    d->catalog = *catalog;
    d->tables = sl_map_new();
    return d;
}

static void destroy(void *self)
{
    decoder *d = self;
    if (!d)
        return;
    if (d->spilled)
        fclose(d->spilled);
    sl_map_free(d->tables);
    sl_buf_free(&d->kept);
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
    (void)r;
    return sl_arena_strdup(arena, "\"include-xids\" 'on', \"include-timestamp\" 'on',"
                                  " \"skip-empty-xacts\" 'on'");
}

const sl_decoder sl_decoder_test = { "test_decoding", options,        create,
                                     decode,          in_transaction, destroy };
