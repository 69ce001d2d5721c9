/* The order of objects: needs first, ranks and names otherwise, circles broken, phases kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema/internal.h"

typedef struct fixture {
    sl_cat cat;
    sl_arena out;
    sl_routes routes;
    uint32_t next;
} fixture;

static int set_up(void **state)
{
    fixture *f = sl_xcalloc(1, sizeof(*f));
    sl_arena_init(&f->out, 0);
    sl_arena_init(&f->cat.arena, 0);
    f->cat.out = &f->out;
    f->cat.routes = &f->routes;
    f->cat.keys = sl_map_new();
    f->next = 20000;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sl_map_free(f->cat.keys);
    free(f->cat.nodes);
    sl_arena_free(&f->cat.arena);
    sl_arena_free(&f->out);
    free(f);
    return 0;
}

static sl_node *add(fixture *f, sl_rank rank, sl_phase phase, const char *name)
{
    sl_node *node = sl_cat_add(&f->cat, SL_CLASS_REL, f->next++, rank, "thing", "s", name);
    node->phase = phase;
    node->wanted = true;
    return node;
}

/* The names in order, separated by blanks. */
static const char *ordered(fixture *f)
{
    SL_BUF(text);
    size_t n = sl_cat_order(&f->cat);
    for (size_t i = 0; i < n; i++)
        sl_buf_printf(&text, "%s%s", i ? " " : "", f->cat.nodes[i]->name);
    return sl_arena_strdup(&f->out, sl_buf_str(&text));
}

static void test_by_phase_rank_and_name(void **state)
{
    fixture *f = *state;
    add(f, SL_RANK_TABLE, SL_PHASE_PRE, "t2");
    add(f, SL_RANK_FOREIGN_KEY, SL_PHASE_POST, "a_key");
    add(f, SL_RANK_TABLE, SL_PHASE_PRE, "t1");
    add(f, SL_RANK_TYPE, SL_PHASE_PRE, "z_type");
    add(f, SL_RANK_INDEX, SL_PHASE_INDEX, "index");
    add(f, SL_RANK_TABLE, SL_PHASE_PRE, "unwanted")->wanted = false;
    assert_string_equal(ordered(f), "z_type t1 t2 index a_key");
}

static void test_needs_come_first(void **state)
{
    fixture *f = *state;
    sl_node *function = add(f, SL_RANK_ROUTINE, SL_PHASE_PRE, "function");
    sl_node *table = add(f, SL_RANK_TABLE, SL_PHASE_PRE, "z_table");
    sl_node *other = add(f, SL_RANK_TABLE, SL_PHASE_PRE, "a_table");
    sl_node *type = add(f, SL_RANK_TYPE, SL_PHASE_PRE, "type");
    sl_cat_edge(&f->cat, function, table); /* its argument is the table's row */
    sl_cat_edge(&f->cat, other, function); /* a generated column calls it */
    sl_cat_edge(&f->cat, other, function); /* pg_depend says so once per column */
    sl_cat_edge(&f->cat, table, type);
    assert_string_equal(ordered(f), "type z_table function a_table");
}

static void test_a_circle_is_broken_at_the_least_rank(void **state)
{
    fixture *f = *state;
    sl_node *b = add(f, SL_RANK_ROUTINE, SL_PHASE_PRE, "b");
    sl_node *a = add(f, SL_RANK_ROUTINE, SL_PHASE_PRE, "a");
    sl_node *view = add(f, SL_RANK_VIEW, SL_PHASE_PRE, "view");
    sl_cat_edge(&f->cat, a, b);
    sl_cat_edge(&f->cat, b, a);
    sl_cat_edge(&f->cat, view, a);
    assert_string_equal(ordered(f), "a b view");
}

static void test_a_view_of_a_later_phase_takes_along_what_needs_it(void **state)
{
    fixture *f = *state;
    sl_node *over = add(f, SL_RANK_VIEW, SL_PHASE_PRE, "a_over");
    sl_node *grouped = add(f, SL_RANK_VIEW, SL_PHASE_PRE, "grouped");
    sl_node *key = add(f, SL_RANK_INDEX_CONSTRAINT, SL_PHASE_POST, "key");
    sl_node *table = add(f, SL_RANK_TABLE, SL_PHASE_PRE, "table");
    sl_cat_edge(&f->cat, grouped, key);
    sl_cat_edge(&f->cat, over, grouped);
    sl_cat_edge(&f->cat, table, over); /* a column of its row type: but rows need the table now */
    assert_string_equal(ordered(f), "table key grouped a_over");
    assert_int_equal(over->phase, SL_PHASE_POST);
    assert_int_equal(table->phase, SL_PHASE_PRE);
}

static void test_only_what_is_needed_is_pulled_in(void **state)
{
    fixture *f = *state;
    sl_node *table = add(f, SL_RANK_TABLE, SL_PHASE_PRE, "table");
    sl_node *types[3];
    for (int i = 0; i < 3; i++) {
        types[i] = add(f, SL_RANK_TYPE, SL_PHASE_PRE, i == 0 ? "t0" : i == 1 ? "t1" : "t2");
        types[i]->wanted = false;
        types[i]->pullable = true;
    }
    sl_node *view = add(f, SL_RANK_VIEW, SL_PHASE_PRE, "view"); /* never pulled in */
    view->wanted = false;
    sl_cat_edge(&f->cat, table, types[1]);
    sl_cat_edge(&f->cat, types[1], types[0]);
    sl_cat_edge(&f->cat, table, view);
    sl_cat_close(&f->cat);
    assert_string_equal(ordered(f), "t0 t1 table");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_by_phase_rank_and_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_needs_come_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_circle_is_broken_at_the_least_rank, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_view_of_a_later_phase_takes_along_what_needs_it,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_what_is_needed_is_pulled_in, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
