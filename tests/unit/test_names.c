/* Names in the destination: renames, bulk rules, case policies, what belongs to a table, labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "spec/names.h"

#define HEAD                                                                                       \
    "name: t\n"                                                                                    \
    "source: { host: a, database: b, user: c }\n"                                                  \
    "destination: { host: a, database: b, user: c }\n"

static sl_spec *parse(const char *rest)
{
    char text[4000];
    sl_spec *spec = NULL;
    sl_error err = SL_ERROR_INIT;
    snprintf(text, sizeof(text), "%s%s", HEAD, rest);
    if (sl_spec_parse(text, strlen(text), "t.yaml", &spec, &err) != SL_OK)
        fail_msg("%s", err.message);
    return spec;
}

typedef struct name_case {
    const char *names; /* names: … */
    const char *schema, *table, *column;
    const char *want_schema, *want_table, *want_column;
} name_case;

static const name_case cases[] = {
    { "{ case: source }", "S", "T", "C", "S", "T", "C" },
    { "{ case: lower }", "Sä", "TÄ", "C1", "sä", "tÄ", "c1" },
    { "{ case: upper }", "s", "t", "c", "S", "T", "C" },
    { "{ case: dts }", "S", "T", "C", "s", "t", "C" },
    { "{ rules: [ { prefix: eu_ } ] }", "s", "t", "c", "s", "eu_t", "c" },
    { "{ rules: [ { objects: \"s.*\", suffix: _x }, { prefix: p_ } ] }", "s", "t", "c", "s",
      "p_t_x", "c" },
    { "{ rules: [ { objects: \"s.*\", suffix: _x } ] }", "other", "t", "c", "other", "t", "c" },
    { "{ rules: [ { of: schemas, objects: \"a*\", prefix: p_ } ] }", "ab", "t", "c", "p_ab", "t",
      "c" },
    { "{ rules: [ { of: columns, objects: \"*.t.c?\", prefix: p_ } ] }", "s", "t", "c1", "s", "t",
      "p_c1" },
    { "{ rules: [ { of: columns, objects: \"*.t.c?\", prefix: p_ } ] }", "s", "t", "c", "s", "t",
      "c" },
    { "{ rules: [ { replace: { tmp_: \"\", \"a.b\": c } } ] }", "s", "tmp_xtmp_a.b", "c", "s", "xc",
      "c" },
    { "{ rules: [ { regex: { \"^tbl_(.*)_v[0-9]+$\": \"\\\\1\" } } ] }", "s", "tbl_order_v12", "c",
      "s", "order", "c" },
    { "{ rules: [ { regex: { \"[aeiou]\": \"<\\\\0>\" } } ] }", "s", "orders", "c", "s",
      "<o>rd<e>rs", "c" },
    { "{ rules: [ { regex: { \"x*\": \"-\" } } ] }", "s", "ab", "c", "s", "-a-b-", "c" },
    { "{ rules: [ { objects: '\"a.b\".\"c\"\"d\"', prefix: p_ } ] }", "a.b", "c\"d", "c", "a.b",
      "p_c\"d", "c" },
    /* patterns are about the source's names, and the case policy comes last */
    { "{ case: lower, rules: [ { objects: S.T, prefix: P_ } ] }", "S", "T", "c", "s", "p_t", "c" },
};

static void test_rules_and_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const name_case *c = &cases[i];
        SL_SCRATCH(tmp);
        char rest[1000];
        snprintf(rest, sizeof(rest), "objects: [ { schema: x } ]\nnames: %s\n", c->names);
        sl_spec *spec = parse(rest);
        assert_string_equal(sl_names_schema(spec, c->schema, &tmp), c->want_schema);
        assert_string_equal(sl_names_table(spec, NULL, c->schema, c->table, &tmp), c->want_table);
        assert_string_equal(sl_names_column(spec, NULL, c->schema, c->table, c->column, &tmp),
                            c->want_column);
        sl_spec_free(spec);
    }
}

static void test_own_renames(void **state)
{
    (void)state;
    SL_SCRATCH(tmp);
    sl_spec *spec =
        parse("names: { case: lower, rules: [ { prefix: p_ } ] }\n"
              "objects:\n"
              "- schema: a\n"
              "  rename: Aa\n"
              "  tables:\n"
              "  - { table: Parted, rename: Root, columns: { rename: { Id: Key } } }\n");
    const sl_spec_table *entry = &spec->schemas[0].tables[0];
    assert_string_equal(sl_names_schema(spec, "a", &tmp), "Aa");
    assert_string_equal(sl_names_schema(spec, "B", &tmp), "b");
    assert_string_equal(sl_names_table(spec, entry, "a", "Parted", &tmp), "Root");
    /* a partition that the entry brought */
    assert_string_equal(sl_names_table(spec, entry, "a", "Parted_1", &tmp), "p_parted_1");
    assert_string_equal(sl_names_column(spec, entry, "a", "Parted_1", "Id", &tmp), "Key");
    assert_string_equal(sl_names_column(spec, entry, "a", "Parted", "Other", &tmp), "other");
    sl_spec_free(spec);
}

static void test_what_belongs_to_a_table(void **state)
{
    (void)state;
    SL_SCRATCH(tmp);
    sl_spec *spec = parse("names: { case: lower, rules: [ { prefix: p_ } ] }\n"
                          "objects: [ { schema: a } ]\n");
    assert_string_equal(sl_names_belonging(spec, "a", "Orders", "o2", "Orders_pkey", &tmp),
                        "o2_pkey");
    assert_string_equal(sl_names_belonging(spec, "a", "Orders", "o2", "Orders_Id_seq", &tmp),
                        "o2_id_seq");
    assert_string_equal(sl_names_belonging(spec, "a", "Orders", "o2", "Ordersx", &tmp),
                        "p_ordersx");
    assert_string_equal(sl_names_belonging(spec, "a", "Orders", "o2", "By_Date", &tmp),
                        "p_by_date");
    /* too long: shortened, each in its own way, never within a character */
    char table[64], longer[128];
    memset(table, 't', 52);
    table[52] = '\0';
    snprintf(longer, sizeof(longer), "x%sääääääää", table);
    const char *one = sl_names_belonging(spec, "a", "x", longer, "x_pkey", &tmp);
    const char *two = sl_names_belonging(spec, "a", "x", longer, "x_key", &tmp);
    assert_int_equal(strlen(one), 62);
    assert_string_not_equal(one, two);
    assert_memory_equal(one, longer, 53);
    assert_int_equal(one[53], '_');
    sl_spec_free(spec);
}

static void test_labels(void **state)
{
    (void)state;
    SL_SCRATCH(tmp);
    assert_string_equal(sl_names_label("Order Item", &tmp), "Order Item");
    assert_string_equal(sl_names_label("a.b", &tmp), "\"a.b\"");
    assert_string_equal(sl_names_label("a\"b", &tmp), "\"a\"\"b\"");
    assert_string_equal(sl_names_label("a\nb", &tmp), "\"a\nb\"");
    assert_string_equal(sl_names_label("\x01", &tmp), "\"\x01\"");
    assert_string_equal(sl_names_label("\x7f", &tmp), "\"\x7f\"");
    assert_string_equal(sl_names_label("\303\244", &tmp), "\303\244");
    assert_string_equal(sl_names_label("", &tmp), "\"\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_and_cases),
        cmocka_unit_test(test_own_renames),
        cmocka_unit_test(test_what_belongs_to_a_table),
        cmocka_unit_test(test_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
