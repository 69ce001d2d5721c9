/* rate.h: a token bucket on rows, shared by the threads of a task and changed while they work.
 *
 * Takers may take more than there is: the debt is paid by waiting before the next rows. A bucket
 * holds a tenth of a second, so that a pause is not made up for later. */
#ifndef SL_CORE_RATE_H
#define SL_CORE_RATE_H

#include <pthread.h>
#include "core/clock.h"

typedef struct sl_rate {
    pthread_mutex_t lock;
    _Atomic int64_t per_second; /* 0: no limit */
    double level;               /* rows that may pass now; negative: debt */
    int64_t at_us;              /* when level was right */
} sl_rate;

void sl_rate_init(sl_rate *rate, int64_t per_second);
void sl_rate_set(sl_rate *rate, int64_t per_second); /* from any thread */
void sl_rate_free(sl_rate *rate);

/* All take NULL for no limit. */
static inline int64_t sl_rate_limit(const sl_rate *rate)
{
    return rate ? rate->per_second : 0;
}
void sl_rate_take(sl_rate *rate, int64_t rows);
/* Microseconds until the debt is paid; 0: go on. */
int64_t sl_rate_wait_us(sl_rate *rate);
/* Waits for that, or less if stop is requested. */
void sl_rate_wait(sl_rate *rate, const sl_stop *stop);

#endif
