/* pulse.h: lets threads that look at something now and then sleep long while nothing happens, and
 * be woken when something does. All zero is a pulse that nobody waits for. */
#ifndef SL_CORE_PULSE_H
#define SL_CORE_PULSE_H

#include <pthread.h>
#include <stdbool.h>

typedef struct sl_pulse {
    pthread_mutex_t lock;
    pthread_cond_t beat;
    _Atomic int sleepers;
} sl_pulse;

/* Waits for a beat, at most ms; not at all when `over` is true already (or NULL: never). Real time:
 * a test clock does not shorten it. */
void sl_pulse_wait(sl_pulse *pulse, int ms, const _Atomic int *over);
void sl_pulse_beat_slowly(sl_pulse *pulse);
/* Wakes who waits. Cheap when nobody does; then the beat is lost. From any thread. */
static inline void sl_pulse_beat(sl_pulse *pulse)
{
    if (pulse->sleepers > 0)
        sl_pulse_beat_slowly(pulse);
}

#endif
