/* test_pgoutput.c: the pgoutput decoder. Messages are written as in the documentation's tables;
 * what is handed on is written down as text and compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "stream/pgoutput.h"

typedef struct record {
    sl_buf text;
    sl_pgoutput *decoder;
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

/* Builds a message: c char, w int16, i int32, l int64, s string, v value (kind and bytes). */
static void build(sl_buf *out, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    sl_buf_clear(out);
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
        }
    }
    va_end(ap);
}

static int setup(void **state)
{
    record *r = calloc(1, sizeof(*r));
    sl_sink sink = { r, on_begin, on_relation, on_change, on_truncate, on_commit, on_message };
    r->decoder = sl_pgoutput_new(&sink);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    record *r = *state;
    sl_pgoutput_free(r->decoder);
    sl_buf_free(&r->text);
    free(r);
    return 0;
}

static sl_rc decode(record *r, const sl_buf *m)
{
    sl_error err = SL_ERROR_INIT;
    sl_rc rc = sl_pgoutput_decode(r->decoder, m->data, m->len, &err);
    if (rc != SL_OK)
        assert_true(err.message[0] && err.hint[0]);
    return rc;
}

static void feed(record *r, const sl_buf *m)
{
    assert_int_equal(decode(r, m), SL_OK);
}

#define COMMIT_LSN UINT64_C(0x1000)
#define YEAR_2000 UINT64_C(0)

static void open_txn(record *r)
{
    SL_BUF(m);
    build(&m, "clli", 'B', COMMIT_LSN, YEAR_2000, 77u);
    feed(r, &m);
    build(&m, "cisscwcsiicsii", 'R', 5u, "public", "t", 'd', 2, 1, "id", 23u, -1u, 0, "v", 25u,
          -1u);
    feed(r, &m);
    sl_buf_clear(&r->text);
}

static void test_transaction(void **state)
{
    record *r = *state;
    SL_BUF(m);
    build(&m, "clli", 'B', COMMIT_LSN, YEAR_2000, 77u);
    feed(r, &m);
    assert_true(sl_pgoutput_in_transaction(r->decoder));
    build(&m, "cls", 'O', UINT64_C(1), "origin");
    feed(r, &m);
    build(&m, "cclsic", 'M', 1, UINT64_C(0x20), "prefix", 1u, 'x');
    feed(r, &m);
    build(&m, "cclll", 'C', 0, COMMIT_LSN, COMMIT_LSN + 0x30, YEAR_2000);
    feed(r, &m);
    assert_false(sl_pgoutput_in_transaction(r->decoder));
    build(&m, "cclsi", 'M', 0, UINT64_C(0x2000), "alone", 0u);
    feed(r, &m);
    assert_string_equal(sl_buf_str(&r->text), "begin 77 1000 946684800000000;message prefix 20 in;"
                                              "commit 1030;message alone 2000;");
}

static void test_changes(void **state)
{
    record *r = *state;
    SL_BUF(m);
    open_txn(r);
    build(&m, "cicwvv", 'I', 5u, 'N', 2, "t1", "n");
    feed(r, &m);
    build(&m, "cicwvv", 'U', 5u, 'N', 2, "t1", "u");
    feed(r, &m);
    build(&m, "cicwvvcwvv", 'U', 5u, 'K', 2, "t1", "n", 'N', 2, "t2", "bxy");
    feed(r, &m);
    build(&m, "cicwvvcwvv", 'U', 5u, 'O', 2, "t1", "told", 'N', 2, "t1", "tnew");
    feed(r, &m);
    build(&m, "cicwvv", 'D', 5u, 'K', 2, "t2", "n");
    feed(r, &m);
    build(&m, "cicwvv", 'D', 5u, 'O', 2, "t2", "t");
    feed(r, &m);
    build(&m, "cici", 'T', 1u, 3, 5u);
    feed(r, &m);
    assert_string_equal(sl_buf_str(&r->text), "1 insert 5 new(t1,n);"
                                              "2 update 5 new(t1,u) unchanged;"
                                              "3 update 5 key(t1,n) new(t2,bxy);"
                                              "4 update 5 old(t1,told) new(t1,tnew);"
                                              "5 delete 5 key(t2,n);"
                                              "6 delete 5 old(t2,t);"
                                              "7 truncate 3 t;");
}

static void test_relations(void **state)
{
    record *r = *state;
    SL_BUF(m);
    build(&m, "cisscwcsii", 'R', 6u, "", "pg_x", 'f', 1, 1, "a", 20u, 7u);
    feed(r, &m);
    sl_relation *first = r->last;
    feed(r, &m); /* the same again keeps its relation and is not handed on */
    assert_string_equal(sl_buf_str(&r->text), "rel 6 pg_catalog.pg_x f a:20:7*;");
    build(&m, "cisscw", 'R', 6u, "s", "none", 'n', 0);
    feed(r, &m);
    assert_ptr_not_equal(first, r->last);
    assert_string_equal(first->table, "pg_x"); /* the old version lives on */
    assert_int_equal(r->last->n_columns, 0);
    build(&m, "ciss", 'Y', 70000u, "s", "mood");
    feed(r, &m);
}

/* Every prefix of a valid message, and one byte more, is refused and not handed on. */
static void test_truncated(void **state)
{
    (void)state;
    struct {
        sl_buf bytes;
    } cases[7] = { 0 };
    build(&cases[0].bytes, "cicwvvcwvv", 'U', 5u, 'K', 2, "t1", "n", 'N', 2, "t2", "tlong value");
    build(&cases[1].bytes, "cicwvv", 'I', 5u, 'N', 2, "t1", "bxyz");
    build(&cases[2].bytes, "cicwvv", 'D', 5u, 'O', 2, "t1", "bxyz");
    build(&cases[3].bytes, "cici", 'T', 1u, 3, 5u);
    build(&cases[4].bytes, "cclll", 'C', 0, COMMIT_LSN, COMMIT_LSN, YEAR_2000);
    build(&cases[5].bytes, "cisscwcsii", 'R', 9u, "s", "t", 'f', 1, 1, "a", 20u, 7u);
    build(&cases[6].bytes, "cclsic", 'M', 1, UINT64_C(1), "prefix", 1u, 'x');
    for (size_t i = 0; i < 7; i++) {
        for (size_t len = 0; len <= cases[i].bytes.len + 1; len++) {
            void *fresh;
            setup(&fresh);
            record *r = fresh;
            open_txn(r);
            SL_BUF(m);
            sl_buf_add(&m, cases[i].bytes.data, cases[i].bytes.len);
            sl_buf_putc(&m, '\0');
            m.len = len;
            assert_int_equal(decode(r, &m), len == cases[i].bytes.len ? SL_OK : SL_FAILED);
            assert_int_equal(r->text.len != 0, len == cases[i].bytes.len);
            teardown(&fresh);
        }
        sl_buf_free(&cases[i].bytes);
    }
}

static void refused(void (*before)(record *), const sl_buf *m)
{
    void *fresh;
    setup(&fresh);
    if (before)
        before(fresh);
    assert_int_equal(decode(fresh, m), SL_FAILED);
    assert_int_equal(((record *)fresh)->text.len, 0);
    teardown(&fresh);
}

static void test_refused(void **state)
{
    (void)state;
    SL_BUF(m);
    build(&m, "cicwvv", 'I', 5u, 'N', 2, "t1", "u"); /* an INSERT cannot leave a value out */
    refused(open_txn, &m);
    build(&m, "cicwv", 'I', 5u, 'N', 1, "t1"); /* narrower than its relation */
    refused(open_txn, &m);
    build(&m, "cicwvvv", 'I', 5u, 'N', 3, "t1", "t2", "t3"); /* wider */
    refused(open_txn, &m);
    build(&m, "cicwvv", 'I', 6u, 'N', 2, "t1", "t2"); /* never described */
    refused(open_txn, &m);
    build(&m, "cicwvv", 'I', 5u, 'N', 2, "t1", "t2"); /* outside of a transaction */
    refused(NULL, &m);
    build(&m, "cicwvv", 'I', 5u, 'N', 2, "t1", "x"); /* unknown kind of value */
    refused(open_txn, &m);
    build(&m, "cicwci", 'I', 5u, 'N', 2, 't', -1u); /* negative length */
    refused(open_txn, &m);
    build(&m, "cicwvv", 'D', 5u, 'N', 2, "t1", "n"); /* a DELETE without an old row */
    refused(open_txn, &m);
    build(&m, "clli", 'B', COMMIT_LSN, YEAR_2000, 78u); /* begin within begin */
    refused(open_txn, &m);
    build(&m, "cclll", 'C', 0, COMMIT_LSN + 1, COMMIT_LSN + 2, YEAR_2000); /* another's commit */
    refused(open_txn, &m);
    build(&m, "cici", 'T', 1u, 0, 6u);
    refused(open_txn, &m);
    build(&m, "cic", 'T', 0u, 0);
    refused(open_txn, &m);
    build(&m, "ci", 'S', 1u); /* streaming was not asked for */
    refused(NULL, &m);
    build(&m, "cisscw", 'R', 5u, "s", "t", 'd', 1665); /* wider than any table */
    refused(NULL, &m);
}

static void test_options(void **state)
{
    (void)state;
    SL_SCRATCH(tmp);
    const char *const names[] = { "a", "b\"'c", NULL };
    assert_string_equal(sl_pgoutput_options(SL_PG_13, names, true, &tmp),
                        "proto_version '1', publication_names '\"a\",\"b\"\"''c\"'");
    assert_string_equal(
        sl_pgoutput_options(SL_PG_14, names, false, &tmp),
        "proto_version '2', publication_names '\"a\",\"b\"\"''c\"', messages 'true'");
    const char *const one[] = { "a", NULL };
    assert_string_equal(
        sl_pgoutput_options(SL_PG_18, one, true, &tmp),
        "proto_version '2', publication_names '\"a\"', binary 'true', messages 'true'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_relations, setup, teardown),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
