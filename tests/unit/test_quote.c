/* test_quote.c: SQL text, LSNs, versions, SQLSTATE classes, binary-safe types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pg/pg.h"
#include "pg/types.h"

static void quoting(void **state)
{
    SL_SCRATCH(a);
    assert_string_equal(sl_sql(&a, "%I.%I", "a\"b", "Select"), "\"a\"\"b\".\"Select\"");
    assert_string_equal(sl_sql(&a, "%L %L", "it's", NULL), "'it''s' NULL");
    assert_string_equal(sl_sql(&a, "x=%L", "a\\'b"), "x= E'a\\\\''b'");
    assert_string_equal(sl_sql(&a, "%s %d %u %lld %llu %zu %c %%", "raw;", -1, 2u, -3LL, 4ULL,
                               (size_t)5, 'c'),
                        "raw; -1 2 -3 4 5 c %");
    assert_string_equal(sl_sql(&a, "%P", (sl_lsn)0x1600000028), "'16/28'");
}

static void lsn_text(void **state)
{
    static const char *const bad[] = { "", "1", "1/", "/1", "x/1", "1/2x", NULL };
    sl_lsn lsn = 0;
    char buf[24];
    assert_true(sl_lsn_parse("16/B374D848", &lsn));
    assert_int_equal(lsn, INT64_C(0x16B374D848));
    assert_string_equal(sl_lsn_text(lsn, buf), "16/B374D848");
    for (size_t i = 0; bad[i]; i++)
        assert_false(sl_lsn_parse(bad[i], &lsn));
    assert_false(sl_lsn_parse(NULL, &lsn));
}

static void versions(void **state)
{
    char buf[16];
    assert_string_equal(sl_version_text(150020, buf), "15.20");
    assert_string_equal(sl_version_text(90624, buf), "9.6.24");
}

static void sqlstates(void **state)
{
    assert_true(sl_sqlstate_transient("08006"));
    assert_true(sl_sqlstate_transient("57P01"));
    assert_true(sl_sqlstate_transient("53100"));
    assert_false(sl_sqlstate_transient("23505"));
    assert_false(sl_sqlstate_transient("55000"));
}

static void proven_types(void **state)
{
    static const struct {
        sl_type type;
        int proven;
    } cases[] = {
        { { .oid = 23, .base = 23, .kind = 'b' }, 1 },
        { { .oid = 20000, .base = 23, .kind = 'b', .domain = true }, 1 },
        { { .oid = 1007, .base = 1007, .element = 23, .kind = 'b', .element_kind = 'b' }, 1 },
        { { .oid = 20001, .base = 20001, .kind = 'e' }, 1 },
        { { .oid = 20002, .base = 20002, .element = 20001, .kind = 'b', .element_kind = 'e' }, 0 },
        { { .oid = 20003, .base = 20003, .kind = 'c' }, 0 },
        { { .oid = 20004, .base = 20004, .kind = 'b' }, 0 },
        { { .oid = 142, .base = 142, .kind = 'b' }, 0 },
        { { .oid = 3926, .base = 3926, .kind = 'r' }, 1 },
        { { .oid = 2205, .base = 2205, .kind = 'b' }, 0 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(sl_type_binary_proven(&cases[i].type), cases[i].proven);
    assert_int_equal(sl_type_array_of(23), 1007);
    assert_int_equal(sl_type_array_of(20000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quoting),   cmocka_unit_test(lsn_text),     cmocka_unit_test(versions),
        cmocka_unit_test(sqlstates), cmocka_unit_test(proven_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
