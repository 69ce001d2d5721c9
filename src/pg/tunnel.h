/* tunnel.h: an SSH tunnel to a server, by the system's ssh.
 *
 * One ssh process per endpoint and process of ours: it forwards one port of 127.0.0.1 per host of
 * the endpoint. The first connection starts it; where it has ended, the next one starts it again.
 * It ends with the tunnel, and with our process however that ends.
 *
 * Host keys have to be known (StrictHostKeyChecking=yes) and nothing is ever asked (BatchMode=yes).
 * What ~/.ssh/config of the account says counts too, such as ProxyJump.
 *
 * Threads: any. */
#ifndef SL_PG_TUNNEL_H
#define SL_PG_TUNNEL_H

#include <stddef.h>
#include "core/clock.h"
#include "core/error.h"
#include "pg/endpoint.h"

typedef struct sl_tunnel sl_tunnel;

/* endpoint is borrowed and has ssh_host. Starts nothing yet. */
sl_tunnel *sl_tunnel_new(const sl_endpoint *endpoint);
void sl_tunnel_free(sl_tunnel *tunnel); /* NULL is fine */

#define SL_TUNNEL_HOSTS 16 /* of an endpoint, at most */

/* Brings the tunnel up if it is not. ports gets the n ports of 127.0.0.1, in the order of the
 * endpoint's hosts; each takes connections whether its server is there or not. SL_TRANSIENT where
 * waiting may help (name unknown, refused, no answer), SL_FAILED where not (host key, private key),
 * both with ssh's own words and a hint; SL_CANCELLED at a stop. */
sl_rc sl_tunnel_open(sl_tunnel *tunnel, const sl_stop *stop, int ports[SL_TUNNEL_HOSTS], int *n,
                     sl_error *err);

/* What ssh has said last, "" for nothing: why a connection through it has failed. */
void sl_tunnel_said(sl_tunnel *tunnel, char *out, size_t size);

#endif
