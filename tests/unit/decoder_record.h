/* decoder_record.h: what a decoder hands on, written down as text, and messages to feed it; for the
 * unit tests of decoders. The test includes cmocka.h and says which decoder is `tested` before it
 * includes this. */
#ifndef DECODER_RECORD_H
#define DECODER_RECORD_H

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "stream/decoder.h"

#define COMMIT_LSN UINT64_C(0x1000)
#define YEAR_2000 UINT64_C(0)

typedef struct record {
    void *decoder;
    sl_buf text;
    sl_relation *last;
} record;

static sl_rc on_begin(void *self, const sl_txn *txn, sl_error *err)
{
    record *r = self;
    (void)err;
    sl_buf_printf(&r->text, "begin %u %llx %lld;", txn->xid, (unsigned long long)txn->commit_lsn,
                  (long long)txn->commit_us);
    return SL_OK;
}

static sl_rc on_relation(void *self, sl_relation *rel, sl_error *err)
{
    record *r = self;
    (void)err;
    r->last = rel;
    sl_buf_printf(&r->text, "rel %u %s.%s %c", rel->oid, rel->schema, rel->table, rel->identity);
    for (int i = 0; i < rel->n_columns; i++)
        sl_buf_printf(&r->text, " %s:%u:%d%s", rel->columns[i].name, rel->columns[i].type,
                      rel->columns[i].typmod, rel->columns[i].key ? "*" : "");
    sl_buf_putc(&r->text, ';');
    return SL_OK;
}

static void row(record *r, const char *label, const sl_change *change, const uint32_t *off)
{
    if (!off)
        return;
    sl_buf_printf(&r->text, " %s(", label);
    for (int i = 0; i < change->rel->n_columns; i++) {
        const uint8_t *v = change->data + off[i];
        sl_buf_printf(&r->text, "%s%c", i ? "," : "", sl_value_kind(v));
        sl_buf_add(&r->text, sl_value_data(v), sl_value_len(v));
    }
    sl_buf_putc(&r->text, ')');
}

static sl_rc on_change(void *self, const sl_txn *txn, const sl_change *change, sl_error *err)
{
    record *r = self;
    (void)txn, (void)err;
    sl_buf_printf(&r->text, "%u %s %u", change->seq, sl_change_op_name(change->op),
                  change->rel->oid);
    row(r, change->old_kind == 'K' ? "key" : "old", change, change->old_off);
    row(r, "new", change, change->new_off);
    sl_buf_puts(&r->text, change->unchanged ? " unchanged;" : ";");
    return SL_OK;
}

static sl_rc on_truncate(void *self, const sl_txn *txn, const sl_change *change, sl_error *err)
{
    record *r = self;
    (void)txn, (void)err;
    sl_buf_printf(&r->text, "%u truncate %u", change->seq, change->options);
    for (int i = 0; i < change->n_rels; i++)
        sl_buf_printf(&r->text, " %s", change->rels[i]->table);
    sl_buf_putc(&r->text, ';');
    return SL_OK;
}

static sl_rc on_commit(void *self, const sl_txn *txn, sl_error *err)
{
    record *r = self;
    (void)err;
    sl_buf_printf(&r->text, "commit %llx;", (unsigned long long)txn->end_lsn);
    return SL_OK;
}

static sl_rc on_message(void *self, const char *prefix, sl_lsn lsn, bool transactional,
                        sl_error *err)
{
    record *r = self;
    (void)err;
    sl_buf_printf(&r->text, "message %s %llx%s;", prefix, (unsigned long long)lsn,
                  transactional ? " in" : "");
    return SL_OK;
}

/* Appends fields: c char, w int16, i int32, l int64, s string, v value (kind and bytes), p length
 * in one byte and bytes. */
static void vappend(sl_buf *out, const char *format, va_list ap)
{
    for (const char *f = format; *f; f++) {
        const char *s;
        switch (*f) {
        case 'c':
            sl_buf_putc(out, (char)va_arg(ap, int));
            break;
        case 'w':
            sl_buf_put16(out, (uint16_t)va_arg(ap, int));
            break;
        case 'i':
            sl_buf_put32(out, va_arg(ap, unsigned));
            break;
        case 'l':
            sl_buf_put64(out, va_arg(ap, uint64_t));
            break;
        case 's':
            s = va_arg(ap, const char *);
            sl_buf_add(out, s, strlen(s) + 1);
            break;
        case 'v':
            s = va_arg(ap, const char *);
            sl_buf_putc(out, s[0]);
            if (s[0] == 't' || s[0] == 'b') {
                sl_buf_put32(out, (uint32_t)strlen(s + 1));
                sl_buf_puts(out, s + 1);
            }
            break;
        case 'p':
            s = va_arg(ap, const char *);
            sl_buf_putc(out, (char)strlen(s));
            sl_buf_puts(out, s);
            break;
        }
    }
}

static inline void append(sl_buf *out, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vappend(out, format, ap);
    va_end(ap);
}

/* The same from the start. */
static inline void build(sl_buf *out, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    sl_buf_clear(out);
    vappend(out, format, ap);
    va_end(ap);
}

static inline record *record_new(const sl_catalog *catalog)
{
    record *r = sl_xcalloc(1, sizeof(*r));
    sl_sink sink = { r, on_begin, on_relation, on_change, on_truncate, on_commit, on_message };
    r->decoder = tested->create(&sink, catalog);
    return r;
}

static inline int setup(void **state)
{
    *state = record_new(NULL);
    return 0;
}

static inline int teardown(void **state)
{
    record *r = *state;
    tested->destroy(r->decoder);
    sl_buf_free(&r->text);
    free(r);
    return 0;
}

static inline bool in_transaction(const record *r)
{
    return tested->in_transaction(r->decoder);
}

/* From a copy of its own, so that a read past the message's end is seen. */
static inline sl_rc decode_at(record *r, const void *message, size_t n, sl_lsn start)
{
    sl_error err = SL_ERROR_INIT;
    void *data = sl_xmalloc(n);
    memcpy(data, message, n);
    sl_rc rc = tested->decode(r->decoder, data, n, start, &err);
    free(data);
    if (rc != SL_OK)
        assert_true(err.message[0] && err.hint[0]);
    return rc;
}

static inline sl_rc decode(record *r, const sl_buf *m)
{
    return decode_at(r, sl_buf_str(m), m->len, 0);
}

static inline void feed(record *r, const sl_buf *m)
{
    assert_int_equal(decode(r, m), SL_OK);
}

/* A decoder that is brought to where the message could come refuses it, and hands nothing on. */
static inline void refused(void (*before)(record *), const sl_buf *m)
{
    record *r = record_new(NULL);
    if (before)
        before(r);
    assert_int_equal(decode(r, m), SL_FAILED);
    assert_int_equal(r->text.len, 0);
    teardown((void **)&r);
}

#endif
