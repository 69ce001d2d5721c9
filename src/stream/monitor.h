/* monitor.h: a thread with an ordinary connection to the source that keeps progress up to date
 * (insert LSN, WAL held by the slot), and writes a heartbeat where nothing else would move the slot
 * on. Its failures do not matter to the stream: it tries again. */
#ifndef SL_STREAM_MONITOR_H
#define SL_STREAM_MONITOR_H

#include "state/run.h"

typedef struct sl_monitor sl_monitor;
sl_monitor *sl_monitor_start(sl_run *run);
void sl_monitor_stop(sl_monitor *m); /* NULL is fine */

#endif
