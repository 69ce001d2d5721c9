/* relay_channel.c: the bytes of one connection, without libpq's buffers.
 *
 * Plain sockets: recv and send. TLS: SSL_read and SSL_write on libpq's own SSL object, whose BIO
 * goes through libpq to the same socket. Either direction of TLS may have to wait for the other
 * (key updates, renegotiation), which is what read_wants and write_wants remember. */
#include "pg/relay_channel.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

bool sl_channel_open(sl_channel *ch, sl_pg *pg)
{
    *ch = (sl_channel){ .pg = pg, .fd = PQsocket(pg->conn), .can_read = true, .can_write = true };
    ch->read_wants = POLLIN;
    ch->write_wants = POLLOUT;
    if (ch->fd < 0 || PQgssEncInUse(pg->conn))
        return false;
    if (!PQsslInUse(pg->conn))
        return true;
    ch->ssl = PQsslStruct(pg->conn, "OpenSSL");
    if (!ch->ssl)
        return false;
    /* Else one call would have to write all of a large block before it says anything. libpq has set
     * ACCEPT_MOVING_WRITE_BUFFER already. */
    if (!(SSL_get_mode(ch->ssl) & SSL_MODE_ENABLE_PARTIAL_WRITE)) {
        SSL_set_mode(ch->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE);
        ch->partial_write_set = true;
    }
    return true;
}

void sl_channel_close(sl_channel *ch)
{
    if (ch->partial_write_set && ch->ssl)
        SSL_clear_mode(ch->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE);
    ch->partial_write_set = false;
}

static void set_closed(sl_channel *ch, int error)
{
    ch->closed = true;
    ch->error = error;
    ch->can_read = ch->can_write = false;
}

void sl_channel_kill(sl_channel *ch)
{
    if (ch->fd >= 0)
        shutdown(ch->fd, SHUT_RDWR);
    set_closed(ch, 0);
}

/* After a call that moved nothing. EINTR leaves the flag set: the caller tries again. */
static void plain_stuck(sl_channel *ch, bool *can, ssize_t rc)
{
    if (rc == 0)
        set_closed(ch, 0);
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
        *can = false;
    else if (errno != EINTR)
        set_closed(ch, errno);
}

static void tls_stuck(sl_channel *ch, bool *can, short *wants, int rc)
{
    int reason = SSL_get_error(ch->ssl, rc);
    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) {
        *wants = reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        *can = false;
    } else {
        set_closed(ch, reason == SSL_ERROR_SYSCALL ? errno : 0);
    }
    ERR_clear_error();
}

size_t sl_channel_read(sl_channel *ch, char *data, size_t n)
{
    if (ch->closed || n == 0)
        return 0;
    if (ch->ssl) {
        int want = n > (1 << 30) ? 1 << 30 : (int)n;
        ERR_clear_error();
        int rc = SSL_read(ch->ssl, data, want);
        if (rc > 0)
            return (size_t)rc;
        tls_stuck(ch, &ch->can_read, &ch->read_wants, rc);
        return 0;
    }
    ssize_t rc = recv(ch->fd, data, n, MSG_DONTWAIT);
    if (rc > 0)
        return (size_t)rc;
    plain_stuck(ch, &ch->can_read, rc);
    return 0;
}

size_t sl_channel_write(sl_channel *ch, const char *data, size_t n)
{
    if (ch->closed || n == 0)
        return 0;
    if (ch->ssl) {
        int want = n > (1 << 30) ? 1 << 30 : (int)n;
        ERR_clear_error();
        int rc = SSL_write(ch->ssl, data, want);
        if (rc > 0)
            return (size_t)rc;
        tls_stuck(ch, &ch->can_write, &ch->write_wants, rc);
        return 0;
    }
    ssize_t rc = send(ch->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (rc > 0)
        return (size_t)rc;
    /* A write error hides what the server said before it went: leave that for the read. */
    if (rc < 0 && (errno == EPIPE || errno == ECONNRESET)) {
        ch->can_write = false;
        ch->write_wants = 0;
        return 0;
    }
    plain_stuck(ch, &ch->can_write, rc);
    return 0;
}
