/* relay_run.h: the relay on two open channels: what sl_relay_copy does after it has found out that
 * it can, and what unit tests drive with fake servers. */
#ifndef SL_PG_RELAY_RUN_H
#define SL_PG_RELAY_RUN_H

#include <stdatomic.h>
#include "pg/relay.h"
#include "pg/relay_channel.h"

/* As sl_relay_copy. A channel that cannot be used any more is closed or killed. cancel asks the
 * source's server to give up its COPY. */
typedef struct sl_relay_plan {
    const sl_relay_job *job;
    int64_t *rows_written;
    const sl_stop *stop;
    void (*cancel)(sl_pg *pg);
    size_t ring_size;    /* a power of two, at least a few MiB */
    int64_t patience_us; /* how long a side may take to end its COPY after an error */
} sl_relay_plan;

sl_rc sl_relay_run(const sl_relay_plan *plan, sl_channel *source, sl_channel *destination,
                   sl_error *err);

/* The same by libpq's row calls. */
sl_rc sl_relay_libpq(const sl_relay_plan *plan, sl_pg *source, sl_pg *destination, sl_error *err);

#endif
