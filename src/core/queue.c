/* queue.c: a ring of pointers under one mutex with two conditions. */
#include "core/queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "core/error.h"

struct sl_queue {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    size_t capacity, head, length;
    bool closed, aborted;
    void *items[];
};

sl_queue *sl_queue_new(size_t capacity)
{
    sl_queue *q = sl_xcalloc(1, sizeof(*q) + capacity * sizeof(void *));
    pthread_condattr_t attr;
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->not_empty, &attr);
    pthread_cond_init(&q->not_full, &attr);
    pthread_condattr_destroy(&attr);
    q->capacity = capacity;
    return q;
}

void sl_queue_free(sl_queue *q)
{
    if (!q)
        return;
    pthread_cond_destroy(&q->not_empty);
    pthread_cond_destroy(&q->not_full);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

bool sl_queue_push(sl_queue *q, void *item)
{
    pthread_mutex_lock(&q->lock);
    while (q->length == q->capacity && !q->closed && !q->aborted)
        pthread_cond_wait(&q->not_full, &q->lock);
    bool ok = !q->closed && !q->aborted;
    if (ok) {
        q->items[(q->head + q->length++) % q->capacity] = item;
        pthread_cond_signal(&q->not_empty);
    }
    pthread_mutex_unlock(&q->lock);
    return ok;
}

static struct timespec deadline_in(int ms)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_sec += ms / 1000;
    ts.tv_nsec += (long)(ms % 1000) * 1000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }
    return ts;
}

bool sl_queue_pop(sl_queue *q, void **item, int timeout_ms)
{
    struct timespec deadline = deadline_in(timeout_ms < 0 ? 0 : timeout_ms);
    bool late = false;
    *item = NULL;
    pthread_mutex_lock(&q->lock);
    while (q->length == 0 && !q->closed && !q->aborted && !late) {
        if (timeout_ms < 0)
            pthread_cond_wait(&q->not_empty, &q->lock);
        else
            late = pthread_cond_timedwait(&q->not_empty, &q->lock, &deadline) == ETIMEDOUT;
    }
    bool ok = !q->aborted && (q->length > 0 || !q->closed);
    if (ok && q->length > 0) {
        *item = q->items[q->head];
        q->head = (q->head + 1) % q->capacity;
        q->length--;
        pthread_cond_signal(&q->not_full);
    }
    pthread_mutex_unlock(&q->lock);
    return ok;
}

static void set_and_wake(sl_queue *q, bool *flag)
{
    pthread_mutex_lock(&q->lock);
    *flag = true;
    pthread_cond_broadcast(&q->not_empty);
    pthread_cond_broadcast(&q->not_full);
    pthread_mutex_unlock(&q->lock);
}

void sl_queue_close(sl_queue *q)
{
    set_and_wake(q, &q->closed);
}

void sl_queue_abort(sl_queue *q)
{
    set_and_wake(q, &q->aborted);
}

size_t sl_queue_length(sl_queue *q)
{
    pthread_mutex_lock(&q->lock);
    size_t n = q->length;
    pthread_mutex_unlock(&q->lock);
    return n;
}
