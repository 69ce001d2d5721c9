/* pulse.c: see pulse.h. One mutex, one condition. */
#include "core/pulse.h"

#include "core/clock.h"

void sl_pulse_wait(sl_pulse *pulse, int ms, const _Atomic int *over)
{
    pthread_mutex_lock(&pulse->lock);
    pulse->sleepers++;
    if (!over || *over == 0)
        sl_cond_wait(&pulse->beat, &pulse->lock, sl_deadline(ms));
    pulse->sleepers--;
    pthread_mutex_unlock(&pulse->lock);
}

void sl_pulse_beat_slowly(sl_pulse *pulse)
{
    pthread_mutex_lock(&pulse->lock);
    pthread_cond_broadcast(&pulse->beat);
    pthread_mutex_unlock(&pulse->lock);
}
