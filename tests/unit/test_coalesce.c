/* test_coalesce.c: what changes of one row become, and which are barriers.
 *
 * A script of one-letter operations runs over a table t(k, v, w) with key k; the result per row is
 * written as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "stream/coalesce.h"

#define MAX 64

typedef struct fixture {
    sl_relation rel;
    sl_rel_column columns[3];
    sl_field fields[3];
    uint16_t key[1];
    sl_bound bound;
    sl_coalescer *coalescer;
    sl_arena arena;
    sl_change changes[MAX];
    int n;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    const char *names[] = { "k", "v", "w" };
    for (uint16_t i = 0; i < 3; i++) {
        f->columns[i] = (sl_rel_column){ .name = names[i], .type = 25, .key = i == 0 };
        f->fields[i] = (sl_field){ .column = i, .key = i == 0, .settable = true };
    }
    f->rel = (sl_relation){ .oid = 1, .table = "t", .identity = 'd', .n_columns = 3 };
    f->rel.columns = f->columns;
    f->bound = (sl_bound){ .rel = &f->rel, .fields = f->fields, .n_fields = 3, .key = f->key };
    f->bound.n_key = 1;
    f->coalescer = sl_coalescer_new();
    sl_coalescer_reset(f->coalescer, MAX);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    sl_coalescer_free(f->coalescer);
    sl_arena_free(&f->arena);
    free(f);
    return 0;
}

/* "a,x,~": values by commas; "~" unsent, "!" NULL. Returns offsets into *data, where it is
 * appended. */
static uint32_t *row(fixture *f, sl_buf *data, const char *text)
{
    uint32_t *off = SL_NEW_ARRAY(&f->arena, uint32_t, 3);
    for (int i = 0; i < 3; i++) {
        size_t n = strcspn(text, ",");
        off[i] = (uint32_t)data->len;
        if (*text == '~' || *text == '!') {
            sl_buf_putc(data, *text == '~' ? 'u' : 'n');
        } else {
            sl_buf_putc(data, 't');
            sl_buf_put32(data, (uint32_t)n);
            sl_buf_add(data, text, n);
        }
        text += n + (text[n] == ',');
    }
    return off;
}

/* kind: 0, 'K' or 'O' for the old row. */
static const sl_change *make(fixture *f, sl_change_op op, char kind, const char *old,
                             const char *new)
{
    SL_BUF(data);
    sl_change *c = &f->changes[f->n++];
    *c = (sl_change){ .rel = &f->rel, .op = (uint8_t)op, .old_kind = kind, .seq = (uint32_t)f->n };
    if (kind)
        c->old_off = row(f, &data, old);
    if (new)
        c->new_off = row(f, &data, new);
    c->unchanged = new &&strchr(new, '~');
    c->data = sl_arena_bytes(&f->arena, data.data, data.len);
    return c;
}

static bool insert(fixture *f, const char *new)
{
    return sl_coalesce(f->coalescer, &f->bound, make(f, SL_CHANGE_INSERT, 0, NULL, new));
}
static bool update(fixture *f, const char *new)
{
    return sl_coalesce(f->coalescer, &f->bound, make(f, SL_CHANGE_UPDATE, 0, NULL, new));
}
static bool update_from(fixture *f, char kind, const char *old, const char *new)
{
    return sl_coalesce(f->coalescer, &f->bound, make(f, SL_CHANGE_UPDATE, kind, old, new));
}
static bool delete (fixture *f, const char *old)
{
    return sl_coalesce(f->coalescer, &f->bound, make(f, SL_CHANGE_DELETE, 'K', old, NULL));
}

/* Changes of a table with a condition: whether the row is there is not known. */
static bool put(fixture *f, const char *new)
{
    sl_change *c = (sl_change *)(uintptr_t)make(f, SL_CHANGE_UPDATE, 0, NULL, new);
    c->maybe = true;
    return sl_coalesce(f->coalescer, &f->bound, c);
}
static bool take_away(fixture *f, const char *old)
{
    sl_change *c = (sl_change *)(uintptr_t)make(f, SL_CHANGE_DELETE, 'K', old, NULL);
    c->maybe = true;
    return sl_coalesce(f->coalescer, &f->bound, c);
}

static void value(sl_buf *out, const uint8_t *v)
{
    if (sl_value_kind(v) == 't')
        sl_buf_add(out, sl_value_data(v), sl_value_len(v));
    else
        sl_buf_putc(out, sl_value_null(v) ? '!' : '~');
}

/* "state key: values; …" */
static void assert_rows(fixture *f, const char *expected)
{
    static const char *const names[] = {
        "insert", "update", "delete", "replace", "put", "phantom"
    };
    SL_BUF(out);
    for (sl_group *g = sl_coalescer_groups(f->coalescer); g; g = g->next)
        for (sl_row *r = g->head; r; r = r->next) {
            sl_buf_printf(&out, "%s%s ", out.len ? "; " : "", names[r->state]);
            value(&out, sl_row_key(r, &f->fields[0]));
            if (r->state == SL_ROW_DELETE || r->state == SL_ROW_PHANTOM)
                continue;
            sl_buf_putc(&out, ':');
            bool unsent = false;
            for (uint16_t i = 0; i < 3; i++) {
                sl_buf_putc(&out, i ? ',' : ' ');
                value(&out, sl_row_value(r, i));
                unsent |= !sl_value_sent(sl_row_value(r, i));
            }
            assert_int_equal(r->partial, unsent);
        }
    assert_string_equal(sl_buf_str(&out), expected);
}

static void test_follow(void **state)
{
    fixture *f = *state;
    assert_true(insert(f, "a,1,x") && update(f, "a,2,y"));
    assert_true(update(f, "b,1,x") && update(f, "b,2,y"));
    assert_true(insert(f, "c,1,x") && update(f, "c,1,y") && delete (f, "c,!,!"));
    assert_true(update(f, "d,1,x") && delete (f, "d,!,!"));
    assert_true(delete (f, "e,!,!") && insert(f, "e,1,x") && update(f, "e,5,~"));
    assert_true(insert(f, "f,1,x") && delete (f, "f,!,!") && insert(f, "f,2,y"));
    assert_true(delete (f, "g,!,!") && insert(f, "g,1,x") && delete (f, "g,!,!"));
    assert_rows(f, "insert a: a,2,y; update b: b,2,y; phantom c; delete d; replace e: e,5,x; "
                   "insert f: f,2,y; delete g");
    sl_group *g = sl_coalescer_groups(f->coalescer);
    assert_int_equal(g->n_rows, 7);
    const uint32_t n[] = { 2, 1, 2, 1, 0, 1 };
    assert_memory_equal(g->n, n, sizeof(n));
}

/* What cannot follow meets the destination in order: it is a conflict there, if at all. */
static void test_forbidden(void **state)
{
    fixture *f = *state;
    assert_true(insert(f, "a,1,x") && !insert(f, "a,1,x"));
    assert_true(update(f, "b,1,x") && !insert(f, "b,1,x"));
    assert_true(delete (f, "c,!,!") && !delete (f, "c,!,!") && !update(f, "c,1,x"));
    assert_true(insert(f, "d,1,x") && delete (f, "d,!,!") && !update(f, "d,1,x") &&
                !delete (f, "d,!,!"));
    assert_true(delete (f, "e,!,!") && insert(f, "e,1,x") && !insert(f, "e,1,x"));
    assert_rows(f, "insert a: a,1,x; update b: b,1,x; delete c; phantom d; replace e: e,1,x");
}

static void test_maybe(void **state)
{
    fixture *f = *state;
    assert_false(put(f, "x,1,x")); /* no unique index: by itself, in order */
    f->bound.can_put = true;
    assert_true(put(f, "a,1,x") && put(f, "a,2,y"));
    assert_true(put(f, "b,1,x") && take_away(f, "b,!,!") && take_away(f, "b,!,!"));
    assert_true(take_away(f, "c,!,!") && put(f, "c,1,x") && put(f, "c,2,x"));
    assert_true(insert(f, "d,1,x") && put(f, "d,2,y"));
    assert_true(insert(f, "e,1,x") && take_away(f, "e,!,!") && take_away(f, "e,!,!"));
    assert_true(insert(f, "g,1,x") && take_away(f, "g,!,!") && put(f, "g,3,z"));
    assert_true(put(f, "h,1,x") && !insert(f, "h,1,x"));
    assert_rows(f, "put a: a,2,y; delete b; replace c: c,2,x; insert d: d,2,y; phantom e; "
                   "insert g: g,3,z; put h: h,1,x");
}

/* Unchanged TOAST takes the earlier value, from whichever change sent it last. */
static void test_unsent(void **state)
{
    fixture *f = *state;
    assert_true(insert(f, "a,1,x") && update(f, "a,~,y") && update(f, "a,3,~"));
    assert_true(update(f, "b,1,~") && update(f, "b,~,y"));
    assert_true(update(f, "c,~,~") && update(f, "c,2,~"));
    assert_true(update(f, "d,~,z") && update(f, "d,~,~") && update(f, "d,~,~"));
    assert_true(update(f, "e,~,~") && update(f, "e,1,!"));
    assert_true(update_from(f, 'O', "g,old,w", "g,~,new"));
    assert_rows(f, "insert a: a,3,y; update b: b,1,y; update c: c,2,~; update d: d,~,z; "
                   "update e: e,1,!; update g: g,old,new");
}

/* A key row whose key is unchanged comes with external keys; a key unsent in the new row is the old
 * one. */
static void test_keys(void **state)
{
    fixture *f = *state;
    assert_true(update_from(f, 'K', "a,!,!", "~,1,~"));
    assert_true(update(f, "a,~,q"));
    assert_true(update_from(f, 'K', "b,!,!", "b,1,x"));
    assert_false(update_from(f, 'K', "b,!,!", "c,1,x"));
    assert_false(update_from(f, 'O', "b,1,x", "c,1,x"));
    assert_true(delete (f, "b,!,!"));
    assert_rows(f, "update a: a,1,q; delete b");
}

/* Keys are compared as bytes with their length: "" is not NULL, and no prefix is the whole. */
static void test_identity(void **state)
{
    fixture *f = *state;
    assert_true(insert(f, ",1,x") && insert(f, "!,1,x") && insert(f, "a,1,x") &&
                insert(f, "aa,1,x"));
    assert_int_equal(sl_coalescer_groups(f->coalescer)->n_rows, 4);
}

/* After a flush the same key is a new row. */
static void test_clear(void **state)
{
    fixture *f = *state;
    assert_true(insert(f, "a,1,x"));
    sl_group_clear(sl_coalescer_groups(f->coalescer));
    assert_true(update(f, "a,~,z"));
    assert_rows(f, "update a: a,~,z");
    sl_coalescer_reset(f->coalescer, 4);
    assert_null(sl_coalescer_groups(f->coalescer));
    assert_null(f->bound.group);
    assert_true(delete (f, "a,!,!"));
    assert_rows(f, "delete a");
}

static void test_ordered(void **state)
{
    fixture *f = *state;
    f->bound.ordered = true;
    assert_true(insert(f, "a,1,x") && insert(f, "a,1,x"));
    assert_false(update(f, "a,2,x"));
    assert_false(delete (f, "a,!,!"));
    assert_rows(f, "insert a: a,1,x; insert a: a,1,x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_follow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forbidden, setup, teardown),
        cmocka_unit_test_setup_teardown(test_maybe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unsent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clear, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ordered, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
