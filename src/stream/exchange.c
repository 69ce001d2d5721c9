/* exchange.c: the hand-over of batches between the reader's and the applier's thread.
 *
 * Invariants (all under the lock):
 *  1. At most one batch is inside.
 *  2. `idle` is set only while the reader holds nothing undelivered; giving a batch clears it. So
 *     the applier that finds no batch and idle.lsn has taken everything that was committed before
 *     it.
 *  3. `hungry` holds exactly while the applier waits and no batch is inside. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "stream/batch.h"

struct sl_exchange {
    pthread_mutex_t lock;
    pthread_cond_t filled, emptied;
    sl_batch *batch;
    sl_idle idle;
    bool closed, abandoned, nudged;
    atomic_bool hungry;
    int fd;
};

sl_exchange *sl_exchange_new(void)
{
    sl_exchange *x = sl_xcalloc(1, sizeof(*x));
    pthread_mutex_init(&x->lock, NULL);
    pthread_cond_init(&x->filled, NULL);
    pthread_cond_init(&x->emptied, NULL);
    x->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return x;
}

void sl_exchange_free(sl_exchange *x)
{
    if (!x)
        return;
    sl_batch_free(x->batch);
    if (x->fd >= 0)
        close(x->fd);
    pthread_cond_destroy(&x->filled);
    pthread_cond_destroy(&x->emptied);
    pthread_mutex_destroy(&x->lock);
    free(x);
}

bool sl_exchange_give(sl_exchange *x, sl_batch *batch, int timeout_ms)
{
    struct timespec deadline = sl_deadline(timeout_ms);
    pthread_mutex_lock(&x->lock);
    while (x->batch && !x->abandoned)
        if (!sl_cond_wait(&x->emptied, &x->lock, deadline))
            break;
    bool given = !x->batch && !x->abandoned && !x->closed;
    if (given) {
        x->batch = batch;
        x->hungry = false;
        pthread_cond_signal(&x->filled);
    }
    pthread_mutex_unlock(&x->lock);
    return given;
}

bool sl_exchange_hungry(const sl_exchange *x)
{
    return x->hungry;
}

int sl_exchange_fd(const sl_exchange *x)
{
    return x->fd;
}

void sl_exchange_woken(sl_exchange *x)
{
    uint64_t n;
    if (read(x->fd, &n, sizeof(n)) < 0)
        return; /* was not set */
}

void sl_exchange_set_idle(sl_exchange *x, sl_lsn lsn, bool urgent)
{
    pthread_mutex_lock(&x->lock);
    if (lsn >= x->idle.lsn) {
        x->idle.lsn = lsn;
        x->idle.urgent |= urgent;
        if (x->idle.urgent)
            pthread_cond_signal(&x->filled);
    }
    pthread_mutex_unlock(&x->lock);
}

void sl_exchange_close(sl_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    x->closed = true;
    pthread_cond_signal(&x->filled);
    pthread_mutex_unlock(&x->lock);
}

void sl_exchange_nudge(sl_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    x->nudged = true;
    pthread_cond_signal(&x->filled);
    pthread_mutex_unlock(&x->lock);
}

void sl_exchange_abandon(sl_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    x->abandoned = true;
    pthread_cond_signal(&x->emptied);
    pthread_mutex_unlock(&x->lock);
}

/* For a reader that sits in poll(). */
void sl_exchange_wake(sl_exchange *x)
{
    uint64_t one = 1;
    if (write(x->fd, &one, sizeof(one)) < 0)
        return; /* it is set already */
}

sl_batch *sl_exchange_take(sl_exchange *x, int timeout_ms, sl_idle *idle, bool *closed)
{
    struct timespec deadline = sl_deadline(timeout_ms);
    pthread_mutex_lock(&x->lock);
    if (!x->batch && !x->closed && !x->idle.urgent && !x->nudged && timeout_ms > 0) {
        x->hungry = true;
        sl_exchange_wake(x);
        while (!x->batch && !x->closed && !x->idle.urgent && !x->nudged)
            if (!sl_cond_wait(&x->filled, &x->lock, deadline))
                break;
        x->hungry = false;
    }
    sl_batch *batch = x->batch;
    x->batch = NULL;
    if (timeout_ms > 0)
        x->nudged = false;
    *idle = batch ? (sl_idle){ 0 } : x->idle;
    if (!batch)
        x->idle.urgent = false;
    *closed = !batch && x->closed;
    if (batch)
        pthread_cond_signal(&x->emptied);
    pthread_mutex_unlock(&x->lock);
    return batch;
}
