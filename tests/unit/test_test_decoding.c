/* test_test_decoding.c: the decoder of test_decoding's text, over a catalog of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "stream/decoder.h"

static const sl_decoder *const tested = &sl_decoder_test;

#include "decoder_record.h"

static sl_catalog_column t_columns[] = {
    { "id", 23, -1, true, false },
    { "v", 25, -1, false, false },
    { "twice", 23, -1, false, true },
};
static sl_catalog_column odd_columns[] = { { "a b", 23, -1, true, false },
                                           { "say \"hi\"", 70000, -1, false, false } };
static sl_catalog_column full_columns[] = { { "a", 1043, 14, true, false },
                                            { "b", 16, -1, true, false } };
static const struct {
    const char *schema, *table;
    sl_catalog_table table_;
} catalog[] = {
    { "public", "t", { 5, 'd', 3, t_columns } },
    { "Odd.schema", "x:y", { 6, 'd', 2, odd_columns } },
    { "public", "full", { 7, 'f', 2, full_columns } },
    { "public", "empty", { 8, 'd', 0, NULL } },
};

static sl_rc describe(void *self, const char *schema, const char *table, sl_arena *arena,
                      sl_catalog_table *out, sl_error *err)
{
    (void)self, (void)arena;
    if (strcmp(table, "broken") == 0) {
        sl_fail(err, SL_TRANSIENT, "no catalog");
        return sl_hint(err, "Wait.");
    }
    for (size_t i = 0; i < sizeof(catalog) / sizeof(catalog[0]); i++)
        if (strcmp(catalog[i].schema, schema) == 0 && strcmp(catalog[i].table, table) == 0) {
            *out = catalog[i].table_;
            return SL_OK;
        }
    return SL_NOT_FOUND;
}

static record *start(bool hidden_oid)
{
    sl_catalog c = { NULL, hidden_oid, describe };
    return record_new(&c);
}

static int setup_catalog(void **state)
{
    *state = start(false);
    return 0;
}

static sl_rc decode_text(record *r, const char *message, sl_lsn lsn)
{
    return decode_at(r, message, strlen(message), lsn);
}

static const char commit[] = "COMMIT 77 (at 2000-01-01 02:00:00.25+02)";

/* The transaction of these messages; what was handed on between begin and commit. */
static sl_rc txn(record *r, const char *const *messages)
{
    assert_int_equal(decode_text(r, "BEGIN 77", 0x10), SL_OK);
    assert_true(in_transaction(r));
    for (; *messages; messages++)
        assert_int_equal(decode_text(r, *messages, 0x20), SL_OK);
    assert_int_equal(r->text.len, 0);
    return decode_text(r, commit, 0x1001);
}

static void expect_text(record *r, const char *text)
{
    static const char begin[] = "begin 77 1000 946684800250000;", end[] = "commit 1001;";
    const char *all = sl_buf_str(&r->text);
    assert_memory_equal(all, begin, strlen(begin));
    SL_SCRATCH(tmp);
    assert_string_equal(all + strlen(begin), sl_arena_printf(&tmp, "%s%s", text, end));
    sl_buf_clear(&r->text);
}

static void test_changes(void **state)
{
    record *r = *state;
    const char *const first[] = {
        "table public.t: INSERT: id[integer]:1 v[text]:'it''s \"x\" [y]: '' z' twice[integer]:2",
        "table public.t: UPDATE: id[integer]:1 v[text]:unchanged-toast-datum twice[integer]:2",
        "table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:-3 v[text]:null "
        "twice[integer]:-6",
        "table public.t: DELETE: id[integer]:-3",
        "table public.t: DELETE: (no-tuple-data)",
        NULL,
    };
    assert_int_equal(txn(r, first), SL_OK);
    assert_false(in_transaction(r));
    expect_text(r, "rel 5 public.t d id:23:-1* v:25:-1;"
                   "1 insert 5 new(t1,tit's \"x\" [y]: ' z);"
                   "2 update 5 new(t1,u) unchanged;"
                   "3 update 5 key(t1,n) new(t-3,n);"
                   "4 delete 5 key(t-3,n);");
    const char *const second[] = {
        "table public.full: INSERT: a[character varying]:'null' b[boolean]:true",
        "table public.full: UPDATE: old-key: a[character varying]:'null' b[boolean]:true "
        "new-tuple: "
        "a[character varying]:'unchanged-toast-datum' b[boolean]:false",
        "table public.full: DELETE: b[boolean]:false",
        "table public.t: INSERT: id[integer]:9 v[text]:'' twice[integer]:18",
        NULL,
    };
    assert_int_equal(txn(r, second), SL_OK);
    expect_text(r, "rel 7 public.full f a:1043:14* b:16:-1*;"
                   "1 insert 7 new(tnull,tt);"
                   "2 update 7 old(tnull,tt) new(tunchanged-toast-datum,tf);"
                   "3 delete 7 old(n,tf);"
                   "4 insert 5 new(t9,t);");
}

static void test_names_and_types(void **state)
{
    record *r = *state;
    const char *const messages[] = {
        "table \"Odd.schema\".\"x:y\": INSERT: \"a b\"[integer]:1 "
        "\"say \"\"hi\"\"\"[public.\"a]b\"[]]:'{\"x\"}'",
        "table \"Odd.schema\".\"x:y\": INSERT: \"a b\"[bit varying(3)]:B'101' "
        "\"say \"\"hi\"\"\"[numeric]:-1.5e10",
        "table public.empty: INSERT:",
        NULL,
    };
    assert_int_equal(txn(r, messages), SL_OK);
    expect_text(r, "rel 6 Odd.schema.x:y d a b:23:-1* say \"hi\":70000:-1;"
                   "1 insert 6 new(t1,t{\"x\"});"
                   "rel 6 Odd.schema.x:y d a b:23:-1* say \"hi\":70000:-1;" /* other types: anew */
                   "2 insert 6 new(t101,t-1.5e10);"
                   "rel 8 public.empty d;3 insert 8 new();");
}

static void test_truncate_and_messages(void **state)
{
    record *r = *state;
    const char *const messages[] = {
        "table public.t, \"Odd.schema\".\"x:y\", public.gone: TRUNCATE: restart_seqs cascade",
        "table public.t: TRUNCATE: (no-flags)",
        "table public.gone: TRUNCATE: cascade",
        "message: transactional: 1 prefix: a, sz: 1 content:, sz: 15 content:, sz: 1 content",
        NULL,
    };
    assert_int_equal(txn(r, messages), SL_OK);
    expect_text(r, "rel 5 public.t d id:23:-1* v:25:-1;"
                   "rel 6 Odd.schema.x:y d a b:23:-1* say \"hi\":70000:-1;"
                   "1 truncate 3 t x:y;2 truncate 0 t;message a, sz: 1 content: 20 in;");
    assert_int_equal(decode_text(r, "message: transactional: 0 prefix: p, sz: 0 content:", 0x30),
                     SL_OK);
    assert_int_equal(decode_text(r, "message: transactional: 1 prefix: q, sz: 1 content:x", 0x40),
                     SL_OK);
    assert_string_equal(sl_buf_str(&r->text), "message p 30;message q 40;"); /* alone */
}

/* What the catalog of today does not have: dropped tables, renamed columns, other keys. */
static void test_past(void **state)
{
    record *r = *state;
    const char *const messages[] = {
        "table public.gone: INSERT: id[integer]:1",
        "table public.pg_temp_12345: INSERT: id[integer]:1",
        "table public.t: DELETE: former[integer]:1",
        "table public.t: INSERT: former[integer]:1 v[text]:'x' twice[integer]:2",
        "table public.t: UPDATE: old-key: v[text]:'x' new-tuple: former[integer]:1 v[text]:'y' "
        "twice[integer]:2",
        "table public.t: DELETE: id[integer]:1",
        NULL,
    };
    assert_int_equal(txn(r, messages), SL_OK);
    expect_text(r, "rel 5 public.t d id:23:-1 v:25:-1 former:0:-1*;"
                   "3 delete 5 key(n,n,t1);"
                   "rel 5 public.t d former:0:-1 v:25:-1;"
                   "4 insert 5 new(t1,tx);"
                   "rel 5 public.t d former:0:-1 v:25:-1*;"
                   "5 update 5 key(n,tx) new(t1,ty);"
                   "rel 5 public.t d id:23:-1* v:25:-1;"
                   "6 delete 5 key(t1,n);");
    const char *const broken[] = { "table public.broken: INSERT: id[integer]:1", NULL };
    assert_int_equal(txn(r, broken), SL_TRANSIENT);
}

static void test_hidden_oid(void **state)
{
    record *r = start(true);
    const char *const messages[] = {
        "table public.t: INSERT: oid[oid]:16400 id[integer]:1 v[text]:'x'",
        "table public.t: DELETE: oid[oid]:16400 id[integer]:1", NULL
    };
    assert_int_equal(txn(r, messages), SL_OK);
    expect_text(r,
                "rel 5 public.t d id:23:-1* v:25:-1;1 insert 5 new(t1,tx);2 delete 5 key(t1,n);");
    teardown((void **)&r);
    (void)state;
}

/* More than is kept in memory comes back from a file, in order. */
static void test_large_transaction(void **state)
{
    record *r = *state;
    SL_BUF(long_row);
    const size_t rows = 10, size = 10 << 20;
    sl_buf_puts(&long_row, "table public.t: INSERT: id[integer]:1 v[text]:'");
    for (size_t i = 0; i < size; i++)
        sl_buf_putc(&long_row, 'x');
    sl_buf_puts(&long_row, "' twice[integer]:2");
    assert_int_equal(decode_text(r, "BEGIN 77", 0x10), SL_OK);
    assert_int_equal(decode_text(r, "table public.t: DELETE: id[integer]:1", 0x20), SL_OK);
    for (size_t i = 0; i < rows; i++)
        assert_int_equal(decode_text(r, sl_buf_str(&long_row), 0x20), SL_OK);
    assert_int_equal(decode_text(r, "table public.t: DELETE: id[integer]:2", 0x20), SL_OK);
    assert_int_equal(decode_text(r, commit, 0x1001), SL_OK);
    assert_true(r->text.len > rows * size);
    assert_non_null(strstr(sl_buf_str(&r->text), "1 delete 5 key(t1,n);"));
    assert_non_null(strstr(sl_buf_str(&r->text) + r->text.len - 40, "12 delete 5 key(t2,n);"));
}

static void refused_text(const char *message)
{
    const char *const messages[] = { message, NULL };
    record *r = start(false);
    sl_rc rc = txn(r, messages);
    if (rc == SL_OK || strstr(sl_buf_str(&r->text), "insert") ||
        strstr(sl_buf_str(&r->text), "delete"))
        fail_msg("taken: %s", message);
    teardown((void **)&r);
}

static void test_refused(void **state)
{
    static const char *const messages[] = {
        "table public.t: INSERT: id[integer]:1 v[text]:'x twice[integer]:2", /* an open quote */
        "table public.t: INSERT: id[integer]:1 v[text]:'x'y",
        "table public.t: INSERT: id[integer]:",
        "table public.t: INSERT: id[integer]",
        "table public.t: INSERT: id[integer[]:1",
        "table public.t: INSERT: [integer]:1",
        "table public.t: INSERT: id[integer]:1 v[text]:unchanged-toast-datum twice[integer]:2",
        "table public.t: INSERT: id[integer]:nullx",
        "table public.t: INSERT: (no-tuple-data)",
        "table public.t: UPDATE: (no-tuple-data)",
        "table public.t: UPDATE: old-key: id[integer]:1",
        "table public.t: MERGE: id[integer]:1",
        "table public.t: TRUNCATE:",
        "table public.t: TRUNCATE: (no-flags) cascade",
        "table public.t, public.full: INSERT: id[integer]:1",
        "table public: INSERT: id[integer]:1",
        "table public.\"t: INSERT: id[integer]:1",
        "table .t: INSERT: id[integer]:1",
        "message: transactional: 1 prefix: p, sz: 5 content:abc",
        "message: transactional: 2 prefix: p, sz: 0 content:",
        "something else",
        "",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
        refused_text(messages[i]);
}

static void test_refused_frames(void **state)
{
    static const struct {
        const char *before, *message;
    } cases[] = {
        { NULL, "COMMIT 77 (at 2000-01-01 00:00:00+00)" },
        { NULL, "table public.t: DELETE: id[integer]:1" },
        { NULL, "BEGIN" },
        { NULL, "BEGIN x" },
        { "BEGIN 77", "BEGIN 77" },
        { "BEGIN 77", "COMMIT 78 (at 2000-01-01 00:00:00+00)" },
        { "BEGIN 77", "COMMIT 77" },
        { "BEGIN 77", "COMMIT 77 (at Sat Jan 01 00:00:00 2000 UTC)" },
        { "BEGIN 77", "COMMIT 77 (at 2000-01-01 00:00:00+00" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        record *r = start(false);
        if (cases[i].before)
            assert_int_equal(decode_text(r, cases[i].before, 0x10), SL_OK);
        assert_int_equal(decode_text(r, cases[i].message, 0x20), SL_FAILED);
        assert_int_equal(r->text.len, 0);
        teardown((void **)&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_changes, setup_catalog, teardown),
        cmocka_unit_test_setup_teardown(test_names_and_types, setup_catalog, teardown),
        cmocka_unit_test_setup_teardown(test_truncate_and_messages, setup_catalog, teardown),
        cmocka_unit_test_setup_teardown(test_past, setup_catalog, teardown),
        cmocka_unit_test(test_hidden_oid),
        cmocka_unit_test_setup_teardown(test_large_transaction, setup_catalog, teardown),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_refused_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
