/* test_pgoutput.c: the pgoutput decoder. Messages are written as in the documentation's tables;
 * what is handed on is written down as text and compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "stream/decoder.h"

static const sl_decoder *const tested = &sl_decoder_pgoutput;

#include "decoder_record.h"

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
    assert_true(in_transaction(r));
    build(&m, "cls", 'O', UINT64_C(1), "origin");
    feed(r, &m);
    build(&m, "cclsic", 'M', 1, UINT64_C(0x20), "prefix", 1u, 'x');
    feed(r, &m);
    build(&m, "cclll", 'C', 0, COMMIT_LSN, COMMIT_LSN + 0x30, YEAR_2000);
    feed(r, &m);
    assert_false(in_transaction(r));
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
    static const char *const two[] = { "a", "b\"'c", NULL }, *const one[] = { "a", NULL };
    static const struct {
        sl_decoder_request request;
        const char *options;
    } cases[] = {
        { { .version = SL_PG_13, .binary = true, .publications = two },
          "proto_version '1', publication_names '\"a\",\"b\"\"''c\"'" },
        { { .version = SL_PG_14, .publications = two },
          "proto_version '2', publication_names '\"a\",\"b\"\"''c\"', messages 'true'" },
        { { .version = SL_PG_18, .binary = true, .publications = one },
          "proto_version '2', publication_names '\"a\"', binary 'true', messages 'true'" },
    };
    (void)state;
    SL_SCRATCH(tmp);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(tested->options(&cases[i].request, &tmp), cases[i].options);
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
