/* relay_channel.h: the bytes of one connection, without libpq's buffers, for the relay.
 *
 * Non-blocking on plain and TLS sockets. `can_read` and `can_write` stay true until a call would
 * have blocked: TLS may hold bytes that poll() does not know of, so poll only where the flag is
 * false. */
#ifndef SL_PG_RELAY_CHANNEL_H
#define SL_PG_RELAY_CHANNEL_H

#include <sys/types.h>
#include "pg/pg.h"

typedef struct sl_channel {
    sl_pg *pg; /* for messages and cancel; conn is NULL in unit tests */
    int fd;
    void *ssl; /* SSL *, or NULL */
    bool can_read, can_write;
    short read_wants, write_wants; /* what poll must report before the next try */
    bool closed;                   /* EOF or a socket error: nothing more in either direction */
    int error;                     /* errno behind closed, 0 for EOF */
    bool partial_write_set;
} sl_channel;

/* Takes over the socket of an idle libpq connection. False when its bytes are not ours to move (GSS
 * encryption, a TLS library that is not OpenSSL). */
bool sl_channel_open(sl_channel *ch, sl_pg *pg);
/* Gives the connection back to libpq. */
void sl_channel_close(sl_channel *ch);
/* Makes the connection unusable: libpq sees it as lost, the server ends its session. */
void sl_channel_kill(sl_channel *ch);

/* Bytes moved; 0 when it would block or is closed (see the flags). */
size_t sl_channel_read(sl_channel *ch, char *data, size_t n);
size_t sl_channel_write(sl_channel *ch, const char *data, size_t n);

#endif
