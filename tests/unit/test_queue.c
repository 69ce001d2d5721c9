/* test_queue.c: the bounded queue under threads (also run under ThreadSanitizer). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "core/clock.h"
#include "core/queue.h"

#define ITEMS 100000

static void *produce(void *arg)
{
    for (uintptr_t i = 1; i <= ITEMS; i++)
        if (!sl_queue_push(arg, (void *)i))
            return (void *)i;
    sl_queue_close(arg);
    return NULL;
}

static void order_is_kept(void **state)
{
    sl_queue *q = sl_queue_new(7);
    pthread_t thread;
    void *item, *result;
    uintptr_t expected = 1;
    pthread_create(&thread, NULL, produce, q);
    while (sl_queue_pop(q, &item, -1)) {
        assert_int_equal((uintptr_t)item, expected++);
        assert_true(sl_queue_length(q) <= 7);
    }
    pthread_join(thread, &result);
    assert_null(result);
    assert_int_equal(expected, ITEMS + 1);
    sl_queue_free(q);
}

static void abort_wakes_the_producer(void **state)
{
    sl_queue *q = sl_queue_new(2);
    pthread_t thread;
    void *item, *result;
    pthread_create(&thread, NULL, produce, q);
    assert_true(sl_queue_pop(q, &item, -1));
    sl_queue_abort(q);
    pthread_join(thread, &result);
    assert_non_null(result);
    assert_false(sl_queue_pop(q, &item, -1));
    sl_queue_free(q);
}

static void timeout_gives_nothing(void **state)
{
    sl_queue *q = sl_queue_new(1);
    void *item = q;
    int64_t before = sl_mono_us();
    assert_true(sl_queue_pop(q, &item, 20));
    assert_null(item);
    assert_true(sl_mono_us() - before >= 19000);
    assert_true(sl_queue_push(q, q));
    sl_queue_close(q);
    assert_true(sl_queue_pop(q, &item, 20));
    assert_ptr_equal(item, q);
    assert_false(sl_queue_pop(q, &item, 20));
    sl_queue_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(abort_wakes_the_producer),
        cmocka_unit_test(timeout_gives_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
