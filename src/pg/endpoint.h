/* endpoint.h: how to reach one database. Filled by the spec; nothing here is ever logged. */
#ifndef SL_PG_ENDPOINT_H
#define SL_PG_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct sl_endpoint {
    const char *host;   /* libpq's host: one or several, comma-separated; NULL with socket */
    const char *port;   /* "5432", or one per host */
    const char *socket; /* directory of a Unix socket, or NULL */
    const char *database, *user;
    const char *password;             /* already read from its file or environment; NULL for none */
    const char *target_session_attrs; /* libpq's, or NULL */
    const char *ssl_mode, *ssl_root_cert, *ssl_cert, *ssl_key, *ssl_crl; /* libpq's, or NULL */
    /* The way there by SSH: host NULL for none; the others NULL for ssh's own. tunnel belongs to
     * the specification (pg/tunnel.h). */
    const char *ssh_host, *ssh_port, *ssh_user, *ssh_key_file, *ssh_known_hosts;
    struct sl_tunnel *tunnel;
    const char *region; /* a label, or NULL */
    int64_t free_bytes; /* destination.free_bytes, -1 when not given */
} sl_endpoint;

#endif
