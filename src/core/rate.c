/* rate.c: a token bucket. */
#include "core/rate.h"

#define BURST_SECONDS 0.1
#define LOOK_EVERY_US 100000 /* the rate may change meanwhile */

void sl_rate_init(sl_rate *rate, int64_t per_second)
{
    pthread_mutex_init(&rate->lock, NULL);
    rate->per_second = per_second;
    rate->level = 0;
    rate->at_us = sl_mono_us();
}

void sl_rate_free(sl_rate *rate)
{
    pthread_mutex_destroy(&rate->lock);
}

/* Under the lock: what came in since at_us. */
static void fill(sl_rate *rate)
{
    int64_t now = sl_mono_us();
    double most = (double)rate->per_second * BURST_SECONDS;
    if (now > rate->at_us)
        rate->level += (double)(now - rate->at_us) / 1e6 * (double)rate->per_second;
    rate->at_us = now;
    if (rate->level > most)
        rate->level = most;
}

void sl_rate_set(sl_rate *rate, int64_t per_second)
{
    pthread_mutex_lock(&rate->lock);
    fill(rate);
    if (rate->per_second == 0 || per_second == 0)
        rate->level = 0; /* an unlimited task has no debt */
    rate->per_second = per_second;
    pthread_mutex_unlock(&rate->lock);
}

void sl_rate_take(sl_rate *rate, int64_t rows)
{
    if (sl_rate_limit(rate) == 0)
        return;
    pthread_mutex_lock(&rate->lock);
    fill(rate);
    rate->level -= (double)rows;
    pthread_mutex_unlock(&rate->lock);
}

int64_t sl_rate_wait_us(sl_rate *rate)
{
    if (sl_rate_limit(rate) == 0)
        return 0;
    pthread_mutex_lock(&rate->lock);
    fill(rate);
    int64_t limit = rate->per_second;
    double debt = -rate->level;
    pthread_mutex_unlock(&rate->lock);
    return debt <= 0 || limit == 0 ? 0 : (int64_t)(debt / (double)limit * 1e6) + 1;
}

void sl_rate_wait(sl_rate *rate, const sl_stop *stop)
{
    for (int64_t us; (us = sl_rate_wait_us(rate)) > 0;)
        if (!sl_sleep_ms((us < LOOK_EVERY_US ? us : LOOK_EVERY_US) / 1000 + 1, stop))
            return;
}
