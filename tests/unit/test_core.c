/* test_core.c: errors, arenas, buffers, maps, clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/rate.h"

static void first_error_wins(void **state)
{
    sl_error err = SL_ERROR_INIT;
    char text[2000];
    assert_int_equal(sl_fail(&err, SL_TRANSIENT, "lost %d", 1), SL_TRANSIENT);
    assert_int_equal(sl_fail(&err, SL_FAILED, "other"), SL_TRANSIENT);
    assert_int_equal(sl_hint(&err, "wait"), SL_TRANSIENT);
    sl_hint(&err, "not kept");
    sl_while(&err, "reading %s", "a");
    sl_while(&err, "copying b");
    assert_string_equal(sl_error_text(&err, text, sizeof(text)),
                        "lost 1, while reading a; while copying b\nHINT: wait");
}

static void long_texts_are_cut(void **state)
{
    sl_error err = SL_ERROR_INIT;
    char big[5000];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    sl_fail(&err, SL_FAILED, "%s", big);
    for (int i = 0; i < 10; i++)
        sl_while(&err, "%s", big);
    assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
    assert_int_equal(strlen(err.where), sizeof(err.where) - 1);
}

static void arena_reuses_blocks(void **state)
{
    SL_SCRATCH(a);
    char *first = sl_arena_alloc(&a, 100);
    sl_arena_alloc(&a, 100000);
    assert_string_equal(sl_arena_printf(&a, "%s-%d", "x", 7), "x-7");
    assert_int_equal((uintptr_t)sl_arena_alloc(&a, 1) % 16, 0);
    sl_arena_reset(&a);
    assert_int_equal(a.used, 0);
    assert_ptr_equal(sl_arena_alloc(&a, 100), first);
    /* A kept block that is too small must not be used, a large enough one must. */
    for (int i = 0; i < 3; i++) {
        memset(sl_arena_alloc(&a, 200000), i, 200000);
        memset(sl_arena_alloc(&a, 50000), i, 50000);
        sl_arena_reset(&a);
    }
}

static void arena_arrays_grow(void **state)
{
    SL_SCRATCH(a);
    uint64_t *items = NULL;
    size_t n = 0, capacity = 0;
    while (n < 1000) {
        items = sl_arena_grow(&a, items, n, &capacity, sizeof(*items));
        assert_true(capacity > n && capacity <= 2 * n + 16);
        assert_int_equal(items[n], 0);
        items[n] = n;
        n++;
    }
    for (size_t i = 0; i < n; i++)
        assert_int_equal(items[i], i);
}

static void buffer_grows(void **state)
{
    SL_BUF(b);
    assert_string_equal(sl_buf_str(&b), "");
    for (int i = 0; i < 1000; i++)
        sl_buf_printf(&b, "%04d", i);
    assert_int_equal(b.len, 4000);
    assert_memory_equal(b.data + 3996, "0999", 5);
    sl_buf_clear(&b);
    sl_buf_put32(&b, 0x01020304);
    assert_memory_equal(b.data, "\1\2\3\4", 4);
    assert_int_equal(sl_get32(b.data), 0x01020304);
}

static void map_finds_what_was_put(void **state)
{
    sl_map *m = sl_map_new();
    char key[32];
    for (uintptr_t i = 1; i <= 10000; i++)
        sl_map_put(m, key, (size_t)snprintf(key, sizeof(key), "key %ju", (uintmax_t)i), (void *)i);
    sl_map_put(m, "key 5", 5, (void *)77);
    assert_int_equal(sl_map_size(m), 10000);
    assert_ptr_equal(sl_map_get(m, "key 5", 5), (void *)77);
    assert_ptr_equal(sl_map_get(m, "key 10000", 9), (void *)10000);
    assert_null(sl_map_get(m, "key 0", 5));
    assert_null(sl_map_get(m, "", 0));
    sl_map_put(m, "a\0b", 3, (void *)1);
    assert_null(sl_map_get(m, "a\0c", 3));
    sl_map_free(m);
}

static void hash_depends_on_every_byte(void **state)
{
    unsigned char data[64] = { 0 };
    for (size_t n = 1; n <= sizeof(data); n++) {
        uint64_t h = sl_hash64(data, n, 0);
        for (size_t i = 0; i < n; i++) {
            data[i] ^= 1;
            assert_true(sl_hash64(data, n, 0) != h);
            data[i] ^= 1;
        }
        assert_true(sl_hash64(data, n - 1, 0) != h);
    }
}

static void time_is_text(void **state)
{
    char buf[32];
    assert_string_equal(sl_time_text(INT64_C(1700000000123456), buf), "2023-11-14T22:13:20.123Z");
}

static void stop_ends_a_sleep(void **state)
{
    sl_stop stop;
    assert_true(sl_stop_init(&stop));
    assert_true(sl_sleep_ms(1, &stop));
    sl_stop_request(&stop, 15);
    sl_stop_request(&stop, 2);
    int64_t before = sl_mono_us();
    assert_false(sl_sleep_ms(10000, &stop));
    assert_true(sl_mono_us() - before < 1000000);
    assert_int_equal(stop.requested, 15);
    sl_stop_free(&stop);
}

static void text_is_time(void **state)
{
    static const struct {
        const char *text;
        int64_t us; /* -1: refused */
    } cases[] = {
        { "2023-11-14T22:13:20.123Z", INT64_C(1700000000123000) },
        { "2023-11-14T22:13:20Z", INT64_C(1700000000000000) },
        { "2023-11-14T22:13:20.1234567Z", INT64_C(1700000000123456) },
        { "2023-11-14T22:13:20+00:00", INT64_C(1700000000000000) },
        { "2023-11-14T22:13:20", -1 },
        { "2023-11-14T22:13:20+01:00", -1 },
        { "soon", -1 },
        { "", -1 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t us = -1;
        assert_int_equal(sl_time_parse(cases[i].text, &us), cases[i].us >= 0);
        if (cases[i].us >= 0)
            assert_int_equal(us, cases[i].us);
    }
}

/* Debts are waited for at the rate of now; a pause is not made up for. */
static void rate_limits(void **state)
{
    sl_rate rate;
    sl_rate_init(&rate, 1000);
    sl_rate_take(&rate, 2000);
    int64_t wait = sl_rate_wait_us(&rate);
    assert_true(wait > 1500000 && wait <= 2000001);
    sl_rate_set(&rate, 20000);
    wait = sl_rate_wait_us(&rate);
    assert_true(wait > 50000 && wait <= 100001);
    int64_t before = sl_mono_us();
    sl_rate_wait(&rate, NULL);
    assert_true(sl_mono_us() - before < 1000000);
    sl_rate_set(&rate, 1000);
    sl_sleep_ms(300, NULL); /* brings a tenth of a second's rows, not three */
    sl_rate_take(&rate, 600);
    assert_true(sl_rate_wait_us(&rate) > 400000);
    sl_rate_set(&rate, 0);
    assert_int_equal(sl_rate_wait_us(&rate), 0);
    assert_int_equal(sl_rate_wait_us(NULL), 0);
    sl_rate_free(&rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_error_wins),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(arena_reuses_blocks),
        cmocka_unit_test(arena_arrays_grow),
        cmocka_unit_test(buffer_grows),
        cmocka_unit_test(map_finds_what_was_put),
        cmocka_unit_test(hash_depends_on_every_byte),
        cmocka_unit_test(time_is_text),
        cmocka_unit_test(stop_ends_a_sleep),
        cmocka_unit_test(text_is_time),
        cmocka_unit_test(rate_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
