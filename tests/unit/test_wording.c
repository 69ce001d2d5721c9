/* Remedies under the service name the service's commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "service/wording.h"

static void becomes(const char *said, const char *expected)
{
    SL_BUF(out);
    sl_wording(said, "abc", &out);
    assert_string_equal(sl_buf_str(&out), expected);
}

static void test_commands(void **state)
{
    (void)state;
    becomes("out: `pgsluice errors - list` shows its number N, `pgsluice errors - skip N` skips",
            "out: `pgsluice task errors abc` shows its number N, `pgsluice task skip abc N` skips");
    becomes("`pgsluice errors standard input skip N` skips it at the next run",
            "`pgsluice task skip abc N` skips it at the next run");
    becomes("`pgsluice skip - --lsn 0/123`.", "`pgsluice task skip-transaction abc 0/123`.");
    becomes("`pgsluice release FILE`, then `pgsluice run FILE`.",
            "`pgsluice task release abc`, then `pgsluice task start abc`.");
    becomes("pgsluice release my.yaml   # then run it",
            "pgsluice task release abc   # then run it");
    becomes("See `pgsluice check`.", "See `pgsluice task check abc`.");
    becomes("pgsluice resync: again", "pgsluice task resync abc: again");
}

static void test_what_stays(void **state)
{
    (void)state;
    becomes("another pgsluice has taken it", "another pgsluice has taken it");
    becomes("pgsluice running is pgsluice_run", "pgsluice running is pgsluice_run");
    becomes("`pgsluice task start abc`", "`pgsluice task start abc`");
    becomes("", "");
}

static void test_phrases(void **state)
{
    (void)state;
    becomes("gone for good, use --force: the",
            "gone for good, release it with force (pgsluice task "
            "release abc --force): the");
}

static void test_fields(void **state)
{
    (void)state;
    json_t *fields =
        json_pack("{s:s, s:s, s:n}", "hint", "pgsluice run -", "table", "pgsluice run -", "remedy");
    sl_wording_fields(fields, "abc");
    assert_string_equal(json_string_value(json_object_get(fields, "hint")),
                        "pgsluice task start abc");
    assert_string_equal(json_string_value(json_object_get(fields, "table")), "pgsluice run -");
    json_decref(fields);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_what_stays),
        cmocka_unit_test(test_phrases),
        cmocka_unit_test(test_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
