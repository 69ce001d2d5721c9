/* Key ranges: values become keys that sort like the server's, bounds survive being stored, and
 * changes between the ranges' snapshots become what each range's copy lacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "state/ranges.h"
#include "stream/ranged.h"

static sl_range_key key_of(bool uuid, const char *text)
{
    sl_range_key key = 0;
    assert_true(sl_ranges_key(uuid, 't', text, strlen(text), &key));
    return key;
}

static void test_keys_sort(void **state)
{
    (void)state;
    static const char *const ints[] = { "-9223372036854775808", "-5", "0", "7",
                                        "9223372036854775807" };
    static const char *const uuids[] = { "00000000-0000-0000-0000-000000000000",
                                         "00000000-0000-0001-0000-000000000000",
                                         "7fffffff-ffff-ffff-ffff-ffffffffffff",
                                         "ffffffff-ffff-ffff-ffff-ffffffffffff" };
    for (int i = 1; i < 5; i++)
        assert_true(key_of(false, ints[i - 1]) < key_of(false, ints[i]));
    for (int i = 1; i < 4; i++)
        assert_true(key_of(true, uuids[i - 1]) < key_of(true, uuids[i]));
}

static void test_both_forms_agree(void **state)
{
    (void)state;
    sl_range_key key;
    const uint8_t minus_two[] = { 255, 255, 255, 255, 255, 255, 255, 254 };
    const uint8_t uuid[16] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
                               1,    2,    3,    4,    5,    6,    7,    8 };
    for (size_t len = 2; len <= 8; len *= 2) {
        assert_true(sl_ranges_key(false, 'b', minus_two + 8 - len, len, &key));
        assert_true(key == key_of(false, "-2"));
    }
    assert_true(sl_ranges_key(true, 'b', uuid, 16, &key));
    assert_true(key == key_of(true, "12345678-9abc-def0-0102-030405060708"));
}

static void test_what_is_no_key(void **state)
{
    (void)state;
    sl_range_key key;
    assert_false(sl_ranges_key(false, 't', "12x", 3, &key));
    assert_false(sl_ranges_key(false, 't', "", 0, &key));
    assert_false(sl_ranges_key(false, 'b', "123", 3, &key));
    assert_false(sl_ranges_key(true, 't', "1234", 4, &key));
    assert_false(sl_ranges_key(true, 'b', "1234", 4, &key));
    assert_false(sl_ranges_key(false, 'n', "", 0, &key));
    assert_false(sl_ranges_key(false, 'u', "", 0, &key));
}

/* (-∞, 10) at 100, [10, 20) at 200, [20, ∞) at 300 */
static sl_ranges *three(void)
{
    sl_ranges *r = sl_ranges_new("id", false, 42, 3);
    r->bounds[0] = key_of(false, "10");
    r->bounds[1] = key_of(false, "20");
    for (int i = 0; i < 3; i++)
        r->lsn[i] = (sl_lsn)(i + 1) * 100;
    assert_true(sl_ranges_settle(r));
    return r;
}

static void test_find_and_store(void **state)
{
    (void)state;
    SL_SCRATCH(tmp);
    static const struct {
        const char *key;
        size_t range;
    } cases[] = { { "-7", 0 }, { "9", 0 }, { "10", 1 }, { "19", 1 }, { "20", 2 }, { "99999", 2 } };
    sl_ranges *r = three();
    sl_ranges *again = sl_ranges_parse(sl_ranges_text(r, &tmp));
    assert_non_null(again);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(sl_ranges_find(r, key_of(false, cases[i].key)), cases[i].range);
        assert_int_equal(sl_ranges_find(again, key_of(false, cases[i].key)), cases[i].range);
    }
    assert_int_equal(again->filenode, 42);
    assert_false(sl_ranges_settle(again)); /* nothing copied yet */
    assert_string_equal(sl_ranges_where(r, 1, &tmp),
                        "\"id\" OPERATOR(pg_catalog.>=) '10'::pg_catalog.int8 AND \"id\" "
                        "OPERATOR(pg_catalog.<) '20'::pg_catalog.int8");
    assert_null(sl_ranges_parse("{}"));
    assert_null(sl_ranges_parse(
        "{\"column\":\"id\",\"type\":\"integer\",\"filenode\":1,\"bounds\":[\"2\",\"1\"]}"));
    sl_ranges_free(again);
    sl_ranges_free(r);
}

/* One change of a row (id, v) whose values are one digit or two; v "u" is not sent. */

static void put(uint8_t *data, uint32_t *len, uint32_t *off, const char *text)
{
    *off = *len;
    if (strcmp(text, "u") == 0) {
        data[(*len)++] = 'u';
        return;
    }
    data[*len] = 't';
    sl_put32(data + *len + 1, (uint32_t)strlen(text));
    memcpy(data + *len + 5, text, strlen(text));
    *len += 5 + (uint32_t)strlen(text);
}

typedef struct one {
    uint8_t data[128];
    uint32_t len, old_off[2], new_off[2];
    sl_rel_column columns[2];
    sl_relation rel;
    sl_change change;
} one;

static sl_change *make(one *o, sl_change_op op, char kind, const char *old, const char *id,
                       const char *v)
{
    memset(o, 0, sizeof(*o));
    o->columns[0] = (sl_rel_column){ .name = "id", .key = true };
    o->columns[1] = (sl_rel_column){ .name = "v", .key = kind == 'O' };
    o->rel =
        (sl_relation){ .identity = kind == 'O' ? 'f' : 'd', .n_columns = 2, .columns = o->columns };
    o->change = (sl_change){ .rel = &o->rel, .data = o->data, .op = (uint8_t)op };
    if (old) {
        put(o->data, &o->len, &o->old_off[0], old);
        put(o->data, &o->len, &o->old_off[1], "w");
        o->change.old_off = o->old_off;
        o->change.old_kind = kind;
    }
    if (id) {
        put(o->data, &o->len, &o->new_off[0], id);
        put(o->data, &o->len, &o->new_off[1], v);
        o->change.new_off = o->new_off;
    }
    o->change.len = o->len;
    return &o->change;
}

static void test_changes(void **state)
{
    (void)state;
    static const struct {
        sl_change_op op;
        char kind;
        const char *old, *id, *v;
        sl_lsn lsn;
        sl_rc rc;
        bool wanted;
        sl_change_op becomes;
    } cases[] = {
        { SL_CHANGE_INSERT, 0, NULL, "5", "x", 150, SL_OK, true, SL_CHANGE_INSERT },
        { SL_CHANGE_INSERT, 0, NULL, "15", "x", 150, SL_OK, false, SL_CHANGE_INSERT },
        { SL_CHANGE_INSERT, 0, NULL, "15", "x", 200, SL_OK, true, SL_CHANGE_INSERT },
        { SL_CHANGE_DELETE, 'K', "5", NULL, NULL, 250, SL_OK, true, SL_CHANGE_DELETE },
        { SL_CHANGE_DELETE, 'K', "25", NULL, NULL, 250, SL_OK, false, SL_CHANGE_DELETE },
        { SL_CHANGE_UPDATE, 0, NULL, "5", "u", 150, SL_OK, true, SL_CHANGE_UPDATE },
        { SL_CHANGE_UPDATE, 0, NULL, "25", "x", 150, SL_OK, false, SL_CHANGE_UPDATE },
        { SL_CHANGE_UPDATE, 'K', "5", "15", "x", 250, SL_OK, true, SL_CHANGE_UPDATE },
        { SL_CHANGE_UPDATE, 'K', "5", "25", "u", 250, SL_OK, true, SL_CHANGE_DELETE },
        { SL_CHANGE_UPDATE, 'K', "25", "5", "x", 250, SL_OK, true, SL_CHANGE_INSERT },
        { SL_CHANGE_UPDATE, 'K', "25", "5", "u", 250, SL_NOT_FOUND, false, SL_CHANGE_INSERT },
        { SL_CHANGE_UPDATE, 'O', "25", "5", "u", 250, SL_OK, true, SL_CHANGE_INSERT },
        { SL_CHANGE_UPDATE, 'K', "25", "15", "x", 150, SL_OK, false, SL_CHANGE_UPDATE },
    };
    sl_ranges *r = three();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        one o;
        uint32_t offsets[2];
        bool wanted = false;
        sl_change *c = make(&o, cases[i].op, cases[i].kind, cases[i].old, cases[i].id, cases[i].v);
        sl_rc rc = sl_ranged_change(r, cases[i].lsn, c, offsets, &wanted);
        assert_int_equal(rc, cases[i].rc);
        if (rc != SL_OK)
            continue;
        assert_int_equal(wanted, cases[i].wanted);
        if (!wanted)
            continue;
        assert_int_equal(c->op, cases[i].becomes);
        assert_int_equal(c->new_off != NULL, c->op != SL_CHANGE_DELETE);
        if (c->op == SL_CHANGE_INSERT)
            assert_true(!c->old_kind && sl_value_sent(c->data + c->new_off[1]));
    }
    sl_ranges_free(r);
}

/* Where the column does not belong to the identity any more, nothing can be told. */
static void test_another_identity(void **state)
{
    (void)state;
    one o;
    bool wanted;
    uint32_t offsets[2];
    sl_ranges *r = three();
    sl_change *c = make(&o, SL_CHANGE_UPDATE, 0, NULL, "5", "x");
    o.columns[0].key = false;
    assert_int_equal(sl_ranged_change(r, 150, c, offsets, &wanted), SL_NOT_FOUND);
    o.columns[0] = (sl_rel_column){ .name = "other", .key = true };
    assert_int_equal(sl_ranged_change(r, 150, c, offsets, &wanted), SL_NOT_FOUND);
    sl_ranges_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_sort),      cmocka_unit_test(test_both_forms_agree),
        cmocka_unit_test(test_what_is_no_key), cmocka_unit_test(test_find_and_store),
        cmocka_unit_test(test_changes),        cmocka_unit_test(test_another_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
