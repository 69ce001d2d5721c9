/* test_batch.c: batches keep what they are given; the exchange hands over in order, loses nothing,
 * and keeps a keepalive's position behind the batches before it. Runs under ThreadSanitizer too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "stream/batch.h"

static sl_rel_column column = { .name = "a", .type = 25 };
static sl_relation relation = { .oid = 1, .table = "t", .n_columns = 1, .columns = &column };

/* A message of one text value of n bytes, each of them `fill`. */
static void add(sl_batch *batch, uint32_t n, uint8_t fill)
{
    uint8_t *data = malloc(n + 5);
    uint32_t off = 0;
    data[0] = 't';
    sl_put32(data + 1, n);
    memset(data + 5, fill, n);
    sl_change change = { .rel = &relation, .data = data, .len = n + 5, .new_off = &off, .seq = n };
    sl_batch_add(batch, &change);
    free(data);
}

static void assert_change(const sl_batch *batch, uint32_t i, uint32_t n, uint8_t fill)
{
    const sl_change *change = batch->changes[i];
    const uint8_t *v = change->data + change->new_off[0];
    assert_null(change->old_off);
    assert_int_equal(change->seq, n);
    assert_int_equal(sl_value_len(v), n);
    for (uint32_t k = 0; k < n; k++)
        assert_int_equal(sl_value_data(v)[k], fill);
}

static void test_contents(void **state)
{
    (void)state;
    static const uint32_t sizes[] = { 0, 1, 7, 100, 4096, 1024 * 1024 + 3, 5, 3000000, 9 };
    sl_pool *pool = sl_pool_new();
    for (int round = 0; round < 3; round++) { /* recycled blocks hold no surprise */
        sl_batch *batch = sl_batch_new(pool);
        sl_txn txn = { .commit_lsn = 5 };
        sl_batch_begin(batch, &txn, false);
        for (uint32_t i = 0; i < 9; i++)
            add(batch, sizes[i], (uint8_t)(i + round));
        for (uint32_t i = 0; i < 9; i++)
            assert_change(batch, i, sizes[i], (uint8_t)(i + round));
        assert_true(batch->bytes > 4000000);
        sl_batch_free(batch);
    }
    sl_pool_free(pool);
}

static void test_transactions(void **state)
{
    (void)state;
    sl_pool *pool = sl_pool_new();
    sl_batch *batch = sl_batch_new(pool);
    sl_txn txn = { .commit_lsn = 5, .end_lsn = 9 };
    sl_batch_begin(batch, &txn, true);
    assert_true(sl_batch_open(batch));
    sl_batch_commit(batch, &txn);
    assert_false(sl_batch_drop_empty(batch)); /* it began in the batch before */
    assert_false(sl_batch_open(batch));
    sl_batch_begin(batch, &txn, false);
    add(batch, 3, 1);
    add(batch, 4, 1);
    sl_batch_commit(batch, &txn);
    assert_false(sl_batch_drop_empty(batch));
    sl_batch_begin(batch, &txn, false);
    sl_batch_commit(batch, &txn);
    assert_true(sl_batch_drop_empty(batch));
    assert_int_equal(batch->n_txns, 2);
    assert_int_equal(batch->txns[1].first, 0);
    assert_int_equal(batch->txns[1].n, 2);
    assert_int_equal(batch->changes[1]->txn, 1);
    assert_int_equal(batch->txns[1].txn.end_lsn, 9);
    for (uint32_t i = 0; !sl_batch_full(batch); i++) {
        assert_true(i < SL_BATCH_CHANGES);
        add(batch, 1000, 0);
    }
    sl_batch_free(batch);
    sl_pool_free(pool);
}

#define BATCHES 20000

typedef struct race {
    sl_pool *pool;
    sl_exchange *exchange;
} race;

/* Batches number 1, 2, …, and after some of them the position of a keepalive. */
static void *producer(void *self)
{
    race *r = self;
    for (uint32_t i = 1; i <= BATCHES; i++) {
        sl_batch *batch = sl_batch_new(r->pool);
        sl_txn txn = { .commit_lsn = i };
        sl_batch_begin(batch, &txn, false);
        add(batch, i % 100, (uint8_t)i);
        while (!sl_exchange_give(r->exchange, batch, 50))
            ;
        if (i % 3 == 0)
            sl_exchange_set_idle(r->exchange, i, i % 6 == 0);
        if (i % 7 == 0)
            sl_exchange_woken(r->exchange);
    }
    sl_exchange_close(r->exchange);
    return NULL;
}

static void test_exchange(void **state)
{
    (void)state;
    race r = { sl_pool_new(), sl_exchange_new() };
    pthread_t thread;
    pthread_create(&thread, NULL, producer, &r);
    sl_lsn last = 0;
    bool closed = false;
    for (int i = 0; !closed; i++) {
        sl_idle idle;
        sl_batch *batch = sl_exchange_take(r.exchange, i % 2 ? 20 : 0, &idle, &closed);
        assert_true(idle.lsn <= last); /* never ahead of what was taken */
        if (!batch)
            continue;
        assert_int_equal(idle.lsn, 0);
        assert_int_equal(batch->txns[0].txn.commit_lsn, last + 1);
        last++;
        assert_change(batch, 0, (uint32_t)last % 100, (uint8_t)last);
        sl_batch_free(batch);
    }
    pthread_join(thread, NULL);
    assert_int_equal(last, BATCHES);
    sl_exchange_free(r.exchange);
    sl_pool_free(r.pool);
}

static void test_exchange_ends(void **state)
{
    (void)state;
    sl_pool *pool = sl_pool_new();
    sl_exchange *x = sl_exchange_new();
    sl_idle idle;
    bool closed;
    assert_false(sl_exchange_hungry(x));
    assert_null(sl_exchange_take(x, 1, &idle, &closed));
    assert_false(closed || sl_exchange_hungry(x));
    sl_batch *first = sl_batch_new(pool), *second = sl_batch_new(pool);
    assert_true(sl_exchange_give(x, first, 0));
    assert_false(sl_exchange_give(x, second, 1)); /* no room */
    sl_exchange_close(x);
    assert_ptr_equal(sl_exchange_take(x, 0, &idle, &closed), first); /* what is in comes out */
    assert_false(closed);
    assert_null(sl_exchange_take(x, 1000, &idle, &closed));
    assert_true(closed);
    assert_false(sl_exchange_give(x, second, 1000));
    sl_batch_free(first);
    sl_batch_free(second);
    sl_exchange_free(x);

    x = sl_exchange_new();
    sl_exchange_abandon(x);
    second = sl_batch_new(pool);
    assert_false(sl_exchange_give(x, second, 1000));
    sl_batch_free(second);
    sl_exchange_free(x);
    sl_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_exchange_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
