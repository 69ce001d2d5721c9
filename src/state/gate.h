/* gate.h: lets another thread of the worker stop the stream between two transactions, for a moment.
 *
 * Used by the resync of one table: at a known position it changes what the stream does with that
 * table. Other tables wait as long as the gate is closed, so it is closed for moments only. */
#ifndef SL_STATE_GATE_H
#define SL_STATE_GATE_H

#include <pthread.h>
#include "pg/pg.h"

typedef struct sl_gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    _Atomic int closing; /* somebody wants the stream to stand */
    bool standing;       /* it does, at `at` */
    sl_lsn at;
    void (*wake)(void *self); /* brings a stream that waits for changes here; or NULL */
    void *self;
} sl_gate;

void sl_gate_init(sl_gate *gate);
void sl_gate_free(sl_gate *gate);

/* The stream's side: how it is woken. gate NULL: nothing. */
void sl_gate_wake_with(sl_gate *gate, void (*wake)(void *self), void *self);

/* Wakes a stream that waits for changes. gate NULL: nothing. */
void sl_gate_wake(sl_gate *gate);

/* Waits until the stream stands with every transaction that committed before *at applied and none
 * other. False when stop is requested before (the gate is then open). */
bool sl_gate_close(sl_gate *gate, sl_lsn *at, const sl_stop *stop);
void sl_gate_open(sl_gate *gate);

/* The stream's side: is it to stand? Cheap. */
static inline bool sl_gate_wanted(const sl_gate *gate)
{
    return gate && gate->closing != 0;
}
/* Stands at `at` until the gate is opened or stop is requested. */
void sl_gate_stand(sl_gate *gate, sl_lsn at, const sl_stop *stop);

#endif
