/* relay_frames.h: finds the messages in a stream of server bytes, for the relay. Not installed in
 * any other module.
 *
 * Protocol: "Message Formats" in the PostgreSQL documentation: one type byte, a four-byte length
 * that counts itself, the body. */
#ifndef SL_PG_RELAY_FRAMES_H
#define SL_PG_RELAY_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "pg/relay.h"

/* Every message but CopyData is small: an error with a huge DETAIL is cut by the server far below.
 */
#define SL_FRAMES_MAX_OTHER ((size_t)1 << 20)

typedef struct sl_frames {
    uint64_t body_left;        /* bytes of the current CopyData that have not arrived */
    bool discard;              /* CopyData is dropped instead of kept */
    int64_t copy_data;         /* CopyData messages kept */
    const sl_relay_trim *trim; /* or NULL */
    /* Called with every other complete message; body is valid during the call. False: give up. */
    bool (*message)(void *self, char type, const char *body, size_t len);
    void *self;
} sl_frames;

/* Looks at data[0..n), which begins where the last call ended (with its held bytes first). CopyData
 * bytes end up at data[0..*kept) as they came, but for blanks that trim leaves out; an incomplete
 * header or other message at data[*kept..*kept+*held). False when the bytes are no protocol, or
 * message() gave up. */
bool sl_frames_scan(sl_frames *f, char *data, size_t n, size_t *kept, size_t *held);

#endif
