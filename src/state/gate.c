/* gate.c: one mutex, one condition; waits look at the stop request every 50 ms. */
#include "state/gate.h"

#include "core/clock.h"

#define SLICE_MS 50

void sl_gate_init(sl_gate *gate)
{
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->changed, NULL);
    gate->closing = 0;
    gate->standing = false;
    gate->wake = NULL;
}

void sl_gate_free(sl_gate *gate)
{
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->lock);
}

void sl_gate_wake_with(sl_gate *gate, void (*wake)(void *self), void *self)
{
    if (!gate)
        return;
    pthread_mutex_lock(&gate->lock);
    gate->wake = wake;
    gate->self = self;
    pthread_mutex_unlock(&gate->lock);
}

void sl_gate_wake(sl_gate *gate)
{
    if (!gate)
        return;
    pthread_mutex_lock(&gate->lock);
    if (gate->wake)
        gate->wake(gate->self);
    pthread_mutex_unlock(&gate->lock);
}

static void wait_a_little(sl_gate *gate)
{
    sl_cond_wait(&gate->changed, &gate->lock, sl_deadline(SLICE_MS));
}

bool sl_gate_close(sl_gate *gate, sl_lsn *at, const sl_stop *stop)
{
    pthread_mutex_lock(&gate->lock);
    gate->closing = 1;
    if (gate->wake)
        gate->wake(gate->self);
    while (!gate->standing && !sl_stopping(stop))
        wait_a_little(gate);
    bool standing = gate->standing;
    *at = gate->at;
    if (!standing)
        gate->closing = 0;
    pthread_mutex_unlock(&gate->lock);
    return standing;
}

void sl_gate_open(sl_gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->closing = 0;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

void sl_gate_stand(sl_gate *gate, sl_lsn at, const sl_stop *stop)
{
    pthread_mutex_lock(&gate->lock);
    gate->at = at;
    gate->standing = true;
    pthread_cond_broadcast(&gate->changed);
    while (gate->closing && !sl_stopping(stop))
        wait_a_little(gate);
    gate->standing = false;
    pthread_mutex_unlock(&gate->lock);
}
