/* pulse.c: see pulse.h. One mutex, one condition. */
#include "core/pulse.h"

#include <time.h>

void sl_pulse_wait(sl_pulse *pulse, int ms, const _Atomic int *over)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&pulse->lock);
    pulse->sleepers++;
    if (!over || *over == 0)
        pthread_cond_clockwait(&pulse->beat, &pulse->lock, CLOCK_MONOTONIC, &until);
    pulse->sleepers--;
    pthread_mutex_unlock(&pulse->lock);
}

void sl_pulse_beat_slowly(sl_pulse *pulse)
{
    pthread_mutex_lock(&pulse->lock);
    pthread_cond_broadcast(&pulse->beat);
    pthread_mutex_unlock(&pulse->lock);
}
