/* test_sluice_decoder.c: the decoder of pgsluice_decoding. Messages are written as in
 * decoding/PROTOCOL.md; what is handed on is written down as text and compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "stream/decoder.h"

static const sl_decoder *const tested = &sl_decoder_sluice;

#include "decoder_record.h"

static void put_start(sl_buf *m)
{
    append(m, "ccccccicss", 'S', 'P', 'G', 'S', 'L', 1, 150020u, 1, "UTF8", "1.0");
}

static void put_begin(sl_buf *m)
{
    append(m, "ccill", 'B', 0, 77u, COMMIT_LSN, YEAR_2000);
}

/* Table 1: key of four bytes, text, whole; table 2: identity is the whole row. */
static void put_tables(sl_buf *m)
{
    append(m, "cciccssw", 'R', 1, 5u, 'r', 'd', "public", "t", 3);
    append(m, "cciis", 1, 4, 23u, -1u, "id");
    append(m, "cciis", 0, 't', 25u, -1u, "v");
    append(m, "cciis", 1, 'b', 17u, -1u, "w");
    append(m, "cciccssw", 'R', 2, 6u, 'r', 'f', "public", "full", 1);
    append(m, "cciis", 1, 't', 1043u, 14u, "a");
}

static void open_txn(record *r)
{
    SL_BUF(m);
    put_start(&m);
    put_begin(&m);
    put_tables(&m);
    feed(r, &m);
    sl_buf_clear(&r->text);
}

static void test_transaction(void **state)
{
    record *r = *state;
    SL_BUF(m);
    put_start(&m);
    append(&m, "cclsp", 'M', 0, UINT64_C(0x2000), "alone", "content");
    append(&m, "ccilll", 'B', 1, 77u, COMMIT_LSN, YEAR_2000, UINT64_C(9));
    append(&m, "s", "origin");
    append(&m, "cclsp", 'M', 1, UINT64_C(0x20), "prefix", "");
    append(&m, "c", 'P');
    feed(r, &m);
    assert_true(in_transaction(r));
    build(&m, "clcc", 'C', COMMIT_LSN + 0x30, 0x30, 0);
    feed(r, &m);
    assert_false(in_transaction(r));
    assert_string_equal(sl_buf_str(&r->text),
                        "message alone 2000;begin 77 1000 946684800000000;message prefix 20 in;"
                        "commit 1030;");
}

static void test_changes(void **state)
{
    record *r = *state;
    SL_BUF(m);
    SL_BUF(long_value);
    open_txn(r);
    append(&m, "ccccccc", 'I', 1, 0, 'a', 'b', 'c', 'd');
    append(&m, "pp", "text", "");
    append(&m, "cccc", 'I', 1, 1, 6); /* v and w are NULL */
    append(&m, "cccc", 'a', 'b', 'c', 'd');
    append(&m, "ccccc", 'U', 1, 3, 2, 4); /* v is NULL, w not sent */
    append(&m, "cccc", 'a', 'b', 'c', 'd');
    append(&m, "cccccccp", 'K', 1, 0, 'a', 'b', 'c', 'd', "w");
    append(&m, "cccccpp", 0, 'e', 'f', 'g', 'h', "v", "w");
    append(&m, "cccpcc", 'F', 2, 0, "old", 1, 1);
    append(&m, "cccp", 'E', 2, 0, "x");
    append(&m, "cccccccp", 'D', 1, 0, 'a', 'b', 'c', 'd', "z");
    append(&m, "ccccc", 'T', 3, 2, 2, 1);
    feed(r, &m);
    assert_string_equal(sl_buf_str(&r->text), "1 insert 5 new(babcd,ttext,b);"
                                              "2 insert 5 new(babcd,n,n);"
                                              "3 update 5 new(babcd,n,u) unchanged;"
                                              "4 update 5 key(babcd,n,bw) new(befgh,tv,bw);"
                                              "5 update 6 old(told) new(n);"
                                              "6 delete 6 old(tx);"
                                              "7 delete 5 key(babcd,n,bz);"
                                              "8 truncate 3 full t;");
    sl_buf_clear(&r->text);
    for (int i = 0; i < 300; i++) /* its length takes two bytes */
        sl_buf_putc(&long_value, 'y');
    build(&m, "ccccc", 'I', 2, 0, 0x80 | (300 & 0x7f), 300 >> 7);
    sl_buf_puts(&m, sl_buf_str(&long_value));
    append(&m, "clcc", 'C', COMMIT_LSN + 8, 8, 9);
    feed(r, &m);
    SL_SCRATCH(tmp);
    assert_string_equal(sl_buf_str(&r->text),
                        sl_arena_printf(&tmp, "9 insert 6 new(t%s);commit 1008;",
                                        sl_buf_str(&long_value)));
}

static void test_relations(void **state)
{
    record *r = *state;
    SL_BUF(m);
    put_start(&m);
    append(&m, "ciicss", 'Y', 70000u, 23u, 'd', "s", "positive");
    append(&m, "cciccsswcciis", 'R', 1, 6u, 'r', 'f', "s", "x", 1, 1, 8, 20u, 7u, "a");
    feed(r, &m);
    sl_relation *first = r->last;
    assert_string_equal(sl_buf_str(&r->text), "rel 6 s.x f a:20:7*;");
    assert_false(first->columns[0].text);
    build(&m, "cciccsswcciis", 'R', 2, 6u, 'r', 'f', "s", "x", 1, 1, 8, 20u, 7u, "a");
    feed(r, &m); /* the same by another number keeps its relation and is not handed on */
    assert_string_equal(sl_buf_str(&r->text), "rel 6 s.x f a:20:7*;");
    build(&m, "cciccsswcciis", 'R', 3, 6u, 'r', 'f', "s", "x", 1, 1, 't', 20u, 7u, "a");
    feed(r, &m); /* another format is another version */
    assert_ptr_not_equal(first, r->last);
    assert_true(r->last->columns[0].text);
    build(&m, "ccciccssw", 'R', 0x80 | 0, 1 << 4, 7u, 'r', 'n', "s", "none", 0); /* number 2048 */
    append(&m, "ccill", 'B', 0, 1u, COMMIT_LSN, YEAR_2000);
    append(&m, "cccc", 'I', 0x80, 1 << 4, 0);
    feed(r, &m);
    assert_int_equal(r->last->n_columns, 0);
    assert_non_null(strstr(sl_buf_str(&r->text), "1 insert 7 new();"));
}

/* Every prefix of a record is refused and not handed on. */
static void test_truncated(void **state)
{
    (void)state;
    struct {
        sl_buf bytes;
    } cases[8] = { 0 };
    build(&cases[0].bytes, "cccccccpcccccpp", 'K', 1, 0, 'a', 'b', 'c', 'd', "w", 0, 'e', 'f', 'g',
          'h', "long value", "w");
    build(&cases[1].bytes, "cccccccpp", 'I', 1, 0, 'a', 'b', 'c', 'd', "text", "bytes");
    build(&cases[2].bytes, "cccp", 'E', 2, 0, "old");
    build(&cases[3].bytes, "ccccc", 'T', 3, 2, 2, 1);
    build(&cases[4].bytes, "clcc", 'C', COMMIT_LSN + 8, 8, 0);
    build(&cases[5].bytes, "cciccsswcciis", 'R', 9, 6u, 'r', 'f', "s", "x", 1, 1, 8, 20u, 7u, "a");
    build(&cases[6].bytes, "cclsp", 'M', 1, UINT64_C(1), "prefix", "x");
    build(&cases[7].bytes, "cccccccc", 'U', 1, 3, 2, 4, 'a', 'b', 'c');
    append(&cases[7].bytes, "c", 'd');
    for (size_t i = 0; i < 8; i++) {
        size_t whole = cases[i].bytes.len;
        for (size_t len = 0; len <= whole; len++) {
            void *fresh;
            setup(&fresh);
            open_txn(fresh);
            cases[i].bytes.len = len;
            assert_int_equal(decode(fresh, &cases[i].bytes), len == whole ? SL_OK : SL_FAILED);
            assert_int_equal(((record *)fresh)->text.len != 0, len == whole);
            teardown(&fresh);
        }
        sl_buf_free(&cases[i].bytes);
    }
}

static void started(record *r)
{
    SL_BUF(m);
    put_start(&m);
    feed(r, &m);
}

static void test_refused(void **state)
{
    (void)state;
    SL_BUF(m);
    build(&m, "ccccc", 'I', 2, 2, 1, 0); /* an INSERT cannot leave a value out */
    refused(open_txn, &m);
    build(&m, "cccp", 'I', 3, 0, "x"); /* never described */
    refused(open_txn, &m);
    build(&m, "cccp", 'I', 0, 0, "x");
    refused(open_txn, &m);
    build(&m, "cccp", 'I', 2, 4, "x"); /* an unknown bit */
    refused(open_txn, &m);
    build(&m, "ccccp", 'T', 4, 1, 1, "");
    refused(open_txn, &m);
    build(&m, "cccp", 'I', 2, 0, "x"); /* outside of a transaction */
    refused(started, &m);
    build(&m, "ccill", 'B', 0, 78u, COMMIT_LSN, YEAR_2000); /* begin within begin */
    refused(open_txn, &m);
    refused(NULL, &m);                            /* before START */
    build(&m, "clcc", 'C', COMMIT_LSN + 8, 9, 0); /* another's commit */
    refused(open_txn, &m);
    build(&m, "clcc", 'C', COMMIT_LSN + 8, 8, 1); /* a change is missing */
    refused(open_txn, &m);
    build(&m, "ccc", 'T', 0, 0);
    refused(open_txn, &m);
    build(&m, "cccc", 'T', 0, 1, 3);
    refused(open_txn, &m);
    build(&m, "c", 'Z');
    refused(started, &m);
    build(&m, "");
    refused(started, &m);
    build(&m, "cciccsswcciis", 'R', 1, 6u, 'r', 'f', "s", "x", 1, 1, 33, 20u, 7u, "a"); /* format */
    refused(started, &m);
    build(&m, "cciccssw", 'R', 1, 6u, 'r', 'f', "s", "x", 1665); /* wider than any table */
    refused(started, &m);
    build(&m, "ccccciccssw", 'R', 0xff, 0xff, 0xff, 0x7f, 6u, 'r', 'f', "s", "x", 0); /* number */
    refused(started, &m);
    build(&m, "ccccccccccc", 'R', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
    refused(started, &m); /* a number that does not end */
    build(&m, "ccccccicss", 'S', 'P', 'G', 'S', 'L', 2, 150020u, 1, "UTF8", "2.0");
    refused(NULL, &m); /* another version */
    build(&m, "ccccccicss", 'S', 'P', 'G', 'S', 'X', 1, 150020u, 1, "UTF8", "1.0");
    refused(NULL, &m);
    sl_buf_clear(&m);
    put_start(&m);
    refused(started, &m); /* twice */
}

static void test_options(void **state)
{
    sl_decoder_request some = { .binary = true, .oids = "1,2", .exclude_columns = "" }, none = {
        .oids = "", .columns = "\"s\".\"it's\"(\"a\")", .exclude_columns = "x.y(z)"
    };
    (void)state;
    SL_SCRATCH(tmp);
    assert_string_equal(tested->options(&some, &tmp),
                        "min_proto_version '1', max_proto_version '1', binary 'on', oids '1,2'");
    assert_string_equal(tested->options(&none, &tmp),
                        "min_proto_version '1', max_proto_version '1', binary 'off', tables '', "
                        "columns '\"s\".\"it''s\"(\"a\")', exclude_columns 'x.y(z)'");
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
