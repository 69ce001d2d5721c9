/* queue.h: a bounded queue of pointers between threads: the back-pressure of the pipeline.
 *
 * Invariants: at most `capacity` items; items come out in the order they went in; after close no
 * item goes in, and what is in still comes out; abort wakes everybody and nothing more comes out.
 */
#ifndef SL_CORE_QUEUE_H
#define SL_CORE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct sl_queue sl_queue;

sl_queue *sl_queue_new(size_t capacity);
void sl_queue_free(sl_queue *q); /* items left inside are the caller's business */
/* Blocks while full. False when the queue is closed or aborted: the item is still the caller's. */
bool sl_queue_push(sl_queue *q, void *item);
/* Waits up to timeout_ms (-1: forever). *item is NULL with true on timeout; false once the queue is
 * closed and empty, or aborted. */
bool sl_queue_pop(sl_queue *q, void **item, int timeout_ms);
void sl_queue_close(sl_queue *q);
void sl_queue_abort(sl_queue *q);
size_t sl_queue_length(sl_queue *q);

#endif
