/* connect.c: opening a session with the settings that exact copies need.
 *
 * Nothing is passed in the startup packet that a pooler or an old server could refuse: the settings
 * are SET after the version is known. Only a walsender below 10, which takes no SQL, gets them
 * there. Connecting is non-blocking, so that a stop request ends it. Errors before authentication
 * carry no fields in libpq 15, but with verbose errors their text holds the SQLSTATE, whatever the
 * server's language. */
#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg/pg.h"
#include "pg/tunnel.h"

#define CONNECT_TIMEOUT_S 15
#define MAX_PARAMS 32

typedef struct params {
    const char *keys[MAX_PARAMS], *values[MAX_PARAMS];
    int n;
    const char *name, *port; /* through a tunnel: of the one host; else NULL */
} params;

static void add(params *p, const char *key, const char *value)
{
    if (!value)
        return;
    p->keys[p->n] = key;
    p->values[p->n++] = value;
    p->keys[p->n] = p->values[p->n] = NULL;
}

/* side: -1 for both. The source's have no blanks: 9.4 cannot take them in `options`. */
static const struct setting {
    const char *name, *value;
    int since, side;
} settings[] = {
    { "datestyle", "ISO,MDY", 0, -1 },
    { "intervalstyle", "postgres", 0, -1 },
    { "extra_float_digits", "3", 0, -1 },
    { "bytea_output", "hex", 0, -1 },
    { "lc_monetary", "C", 0, -1 },
    { "xmloption", "content", 0, -1 },
    { "timezone", "UTC", 0, -1 },
    { "search_path", "", 0, -1 },
    { "standard_conforming_strings", "on", 0, -1 },
    { "statement_timeout", "0", 0, -1 },
    { "lock_timeout", "0", 0, -1 },
    { "default_transaction_read_only", "off", 0, SL_DESTINATION },
    { "default_transaction_isolation", "read committed", 0, SL_DESTINATION },
    { "synchronous_commit", "off", 0, SL_DESTINATION },
    { "row_security", "off", SL_PG_9_5, -1 },
    { "idle_in_transaction_session_timeout", "0", SL_PG_9_6, -1 },
    { "jit", "off", SL_PG_11, -1 },
    { "idle_session_timeout", "0", SL_PG_14, -1 },
    { "transaction_timeout", "0", SL_PG_17, -1 },
    { "tcp_keepalives_idle", "30", 0, -1 },
    { "tcp_keepalives_interval", "10", 0, -1 },
    { "tcp_keepalives_count", "3", 0, -1 },
};

/* For a walsender below 10. */
static void startup_options(const sl_pg_options *o, sl_buf *out)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        const struct setting *s = &settings[i];
        if (o->server_version >= s->since && (s->side < 0 || s->side == (int)o->side))
            sl_buf_printf(out, "-c %s=%s ", s->name, s->value);
    }
}

static void fill_params(params *p, const sl_endpoint *e, const sl_pg_options *o)
{
    if (p->port) { /* the name stays: certificates are checked against it */
        add(p, "host", p->name);
        add(p, "hostaddr", "127.0.0.1");
        add(p, "port", p->port);
    } else {
        add(p, "host", e->socket ? e->socket : e->host);
        add(p, "port", e->port);
    }
    add(p, "dbname", e->database);
    add(p, "user", e->user);
    add(p, "password", e->password);
    add(p, "target_session_attrs", o->replication ? NULL : e->target_session_attrs);
    add(p, "sslmode", e->ssl_mode);
    add(p, "sslrootcert", e->ssl_root_cert);
    add(p, "sslcert", e->ssl_cert);
    add(p, "sslkey", e->ssl_key);
    add(p, "sslcrl", e->ssl_crl);
    add(p, "application_name", o->application_name ? o->application_name : "pgsluice");
    add(p, "client_encoding", o->encoding ? o->encoding : "UTF8");
    add(p, "replication", o->replication ? "database" : NULL);
    add(p, "keepalives_idle", "30");
    add(p, "keepalives_interval", "10");
    add(p, "keepalives_count", "3");
    add(p, "tcp_user_timeout", "60000");
}

/* The SQLSTATE in a verbose message, "FATAL:  28P01: password …": after two blanks, five characters
 * and a colon. Empty when the server never answered. */
static void find_sqlstate(const char *message, char state[6])
{
    state[0] = '\0';
    for (const char *p = message; (p = strstr(p, ":  "));) {
        p += 3;
        size_t n = 0;
        while (n < 5 && (isupper((unsigned char)p[n]) || isdigit((unsigned char)p[n])))
            n++;
        if (n == 5 && p[5] == ':') {
            memcpy(state, p, 5);
            state[5] = '\0';
        }
    }
}

/* Without the verbose additions: one line, no SQLSTATE, no LOCATION. */
static void clean_message(const char *message, const char *state, char *out, size_t size)
{
    size_t n = 0;
    for (const char *p = message; *p && n + 1 < size;) {
        size_t line = strcspn(p, "\n");
        const char *code = state[0] ? strstr(p, state) : NULL;
        if (strncmp(p, "LOCATION:", 9) != 0) {
            for (size_t i = 0; i < line && n + 1 < size; i++) {
                if (code && p + i == code && code[5] == ':')
                    i += 7; /* "28P01: " */
                if (i < line)
                    out[n++] = p[i];
            }
            if (n + 1 < size)
                out[n++] = ' ';
        }
        p += line + (p[line] == '\n');
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
}

#define CUT_HINT "The connection to the %s ended while TLS was set up: it is tried again."

static const struct remedy {
    const char *sqlstate, *text; /* what stands in the message when there is no SQLSTATE */
    sl_rc code;
    const char *hint;
} remedies[] = {
    { "28P01", NULL, SL_FAILED, "Check user and password in the specification's %s section." },
    { "28000", "does not exist", SL_FAILED,
      "Create the role on the %s server (CREATE ROLE … LOGIN), or correct `user`." },
    { "28000", "not permitted to log in", SL_FAILED,
      "Let the role of the %s log in: ALTER ROLE … LOGIN;" },
    { "28000", "valid client certificate", SL_FAILED,
      "Give ssl.cert and ssl.key of the %s: the server's pg_hba.conf asks for a client "
      "certificate." },
    { "28000", "certificate authentication failed", SL_FAILED,
      "Check ssl.cert and user of the %s: the certificate's common name has to be the role's, or "
      "be "
      "mapped to it in pg_ident.conf." },
    { "28000", NULL, SL_FAILED,
      "Let the account in: add a line to the %s server's pg_hba.conf such as \"host DATABASE USER "
      "CLIENT-ADDRESS/32 scram-sha-256\" (the message names them), then run SELECT "
      "pg_reload_conf()." },
    { "3D000", NULL, SL_FAILED, "Create the database on the %s server, or correct `database`." },
    { "42501", NULL, SL_FAILED,
      "Give the %s account what the message asks for: CONNECT on the database, or for a "
      "replication "
      "connection ALTER ROLE … REPLICATION." },
    { "53300", "connections for role", SL_TRANSIENT,
      "Raise the role's limit on the %s (ALTER ROLE … CONNECTION LIMIT), or end its other "
      "sessions." },
    { "53300", "connections for database", SL_TRANSIENT,
      "Raise the database's limit on the %s (ALTER DATABASE … CONNECTION LIMIT), or end other "
      "sessions." },
    { "53300", NULL, SL_TRANSIENT,
      "Raise max_connections (or max_wal_senders for replication) on the %s, or end sessions." },
    { "", "translate host name", SL_TRANSIENT, "Check `host` of the %s: the name is unknown." },
    { "", "Connection refused", SL_TRANSIENT,
      "Check host and port of the %s; is the server running, and does listen_addresses include "
      "this "
      "address?" },
    { "", "timeout", SL_TRANSIENT,
      "No answer from the %s: check host, port, and firewalls between the two machines." },
    { "", "No route", SL_TRANSIENT, "Check the %s host's address and the network between." },
    { "", "unreachable", SL_TRANSIENT, "Check the %s host's address and the network between." },
    { "", "No such file", SL_TRANSIENT,
      "Check `socket` of the %s: the directory of the server's Unix socket." },
    { "", "group or world access", SL_FAILED,
      "Let nobody else read ssl.key of the %s: chmod 600." },
    { "", "certificate verify failed", SL_FAILED,
      "Check ssl.root_cert of the %s: the server's certificate is signed by none of its "
      "certificates." },
    { "", "does not match host name", SL_FAILED,
      "Check `host` of the %s: the server's certificate is for another name. Without that check: "
      "ssl.mode: verify-ca." },
    { "", "SSL SYSCALL error", SL_TRANSIENT, CUT_HINT },
    { "", "SSL connection has been closed", SL_TRANSIENT, CUT_HINT },
    { "", "unexpected eof", SL_TRANSIENT, CUT_HINT },
    { "", "SSL", SL_FAILED,
      "Check the `ssl` keys of the %s: mode, and the certificate files it needs." },
    { "", "certificate", SL_FAILED, "Check the `ssl` keys of the %s: mode and root_cert." },
    { "", "no password supplied", SL_FAILED,
      "Give a password for the %s: password_file, password_env or password_credential." },
    { "", "authentication", SL_FAILED, "Check user and password of the %s." },
};

/* The quoted word behind `what` in a message: host "10.0.0.5". */
static bool quoted_word(const char *text, const char *what, char *out, size_t size)
{
    const char *p = strstr(text, what);
    if (!p)
        return false;
    p += strlen(what);
    size_t n = strcspn(p, "\"");
    if (n == 0 || n >= size || p[n] != '"')
        return false;
    memcpy(out, p, n);
    out[n] = '\0';
    return true;
}

/* A refusal by pg_hba.conf names the address that the server sees, the user and the database: then
 * the hint is the line that lets them in. Below 10 a replication connection needs a line of its
 * own, and the refusal names no database; scram-sha-256 is not known there. */
static void hint_hba_line(const char *text, sl_error *err)
{
    char host[80], user[80], database[80];
    bool replication = strstr(text, "replication connection") != NULL;
    if (!strstr(text, "pg_hba.conf") || !quoted_word(text, "host \"", host, sizeof(host)) ||
        !quoted_word(text, "user \"", user, sizeof(user)) ||
        (!replication && !quoted_word(text, "database \"", database, sizeof(database))))
        return;
    bool local = strcmp(host, "[local]") == 0;
    const char *mask = local ? "" : strchr(host, ':') ? "/128" : "/32";
    const char *head =
        "Put this line into the server's pg_hba.conf, above one that rejects, and run "
        "SELECT pg_reload_conf()";
    if (replication)
        snprintf(err->hint, sizeof(err->hint), "%s:\n%s replication \"%s\" %s%s md5", head,
                 local ? "local" : "host", user, local ? "" : host, mask);
    else
        snprintf(err->hint, sizeof(err->hint),
                 "%s (below PostgreSQL 10 with md5):\n%s \"%s\" \"%s\" %s%s scram-sha-256", head,
                 local ? "local" : "host", database, user, local ? "" : host, mask);
}

/* Through a tunnel libpq sees only that the connection ends at once; ssh knows why. */
static void add_tunnel_words(const sl_endpoint *e, sl_error *err)
{
    char said[400] = "";
    size_t n = strlen(err->message);
    if (e->tunnel)
        sl_tunnel_said(e->tunnel, said, sizeof(said));
    if (!said[0])
        return;
    snprintf(err->message + n, sizeof(err->message) - n, " (the SSH tunnel says: %s)", said);
    snprintf(err->hint, sizeof(err->hint),
             "Check host and port as they are seen from %s, and that its sshd allows forwarding "
             "(AllowTcpForwarding, PermitOpen).",
             e->ssh_host);
}

static sl_rc connect_failed(PGconn *conn, const sl_endpoint *e, const sl_pg_options *o,
                            sl_error *err)
{
    char state[6], text[700];
    const char *side = sl_side_name(o->side);
    const char *message = PQerrorMessage(conn);
    find_sqlstate(message, state);
    clean_message(message, state, text, sizeof(text));
    sl_rc code = state[0] && !sl_sqlstate_transient(state) ? SL_FAILED : SL_TRANSIENT;
    const char *hint = NULL;
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]) && !hint; i++) {
        const struct remedy *r = &remedies[i];
        if (strcmp(r->sqlstate, state) == 0 && (!r->text || strstr(text, r->text))) {
            code = r->code;
            hint = r->hint;
        }
    }
    bool first = err && err->code == SL_OK;
    sl_fail(err, code, "cannot connect to the %s (%s:%s, database %s, user %s): %s", side,
            e->socket ? e->socket : e->host, e->port ? e->port : "5432", e->database, e->user,
            text[0] ? text : "no answer");
    if (first)
        memcpy(err->sqlstate, state, sizeof(state));
    if (first && hint) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(err->hint, sizeof(err->hint), hint, side); /* from the table above */
#pragma GCC diagnostic pop
        hint_hba_line(text, err);
    }
    if (first && !state[0])
        add_tunnel_words(e, err);
    return code;
}

/* PQconnectPoll until it is decided; false on timeout or stop. */
static bool poll_connect(PGconn *conn, const sl_stop *stop, bool *stopped)
{
    int64_t deadline = sl_mono_us() + CONNECT_TIMEOUT_S * 1000000LL;
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    *stopped = false;
    while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
        short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        int64_t left = (deadline - sl_mono_us()) / 1000;
        int ready = left <= 0 ? 0 : sl_wait_fd(PQsocket(conn), events, (int)left, stop);
        if (ready < 0)
            *stopped = true;
        if (ready <= 0)
            return false;
        status = PQconnectPoll(conn);
    }
    return status == PGRES_POLLING_OK;
}

static void ignore_notice(void *arg, const PGresult *res)
{
    (void)arg;
    (void)res;
}

/* On a walsender of 10 one by one: its first minor versions take one statement at a time. */
static sl_rc apply_settings(sl_pg *pg, const sl_pg_options *o, sl_error *err)
{
    SL_BUF(sql);
    bool single = o->replication && pg->version < SL_PG_11;
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        const struct setting *s = &settings[i];
        if (pg->version >= s->since && (s->side < 0 || s->side == (int)o->side))
            sl_sql_add(&sql, "SET %s = %L;", s->name, s->value);
        if (single && sql.len > 0 && sl_pg_exec(pg, sql.data, err) != SL_OK)
            return err->code;
        if (single)
            sl_buf_clear(&sql);
    }
    if (o->decoding_work_mem && pg->version >= SL_PG_13)
        sl_sql_add(&sql, "SET logical_decoding_work_mem = %L;", o->decoding_work_mem);
    if (o->replication && pg->version >= SL_PG_12)
        sl_sql_add(&sql, "SET wal_sender_timeout = '60s';");
    return sql.len > 0 ? sl_pg_exec(pg, sql.data, err) : SL_OK;
}

/* session_replication_role is a superuser's, or GRANTed on 15+. Believed only when SHOW says so. */
static sl_rc try_replica_role(sl_pg *pg, sl_error *err)
{
    sl_error refused = SL_ERROR_INIT;
    SL_SCRATCH(tmp);
    char *value;
    sl_rc rc = sl_pg_exec(pg, "SET session_replication_role = replica", &refused);
    if (rc != SL_OK && strcmp(refused.sqlstate, "42501") != 0) {
        if (err)
            *err = refused;
        return rc;
    }
    if (rc == SL_OK && sl_pg_value(pg, "SHOW session_replication_role", &tmp, &value, err) != SL_OK)
        return err ? err->code : SL_FAILED;
    pg->replica_role = rc == SL_OK && value && strcmp(value, "replica") == 0;
    return SL_OK;
}

static sl_rc prepare_session(sl_pg *pg, const sl_pg_options *o, sl_error *err)
{
    pg->version = PQserverVersion(pg->conn);
    pg->pid = PQbackendPID(pg->conn);
    const char *encoding = PQparameterStatus(pg->conn, "client_encoding");
    snprintf(pg->client_encoding, sizeof(pg->client_encoding), "%s", encoding ? encoding : "");
    PQsetErrorVerbosity(pg->conn, PQERRORS_DEFAULT);
    if (o->replication && pg->version < SL_PG_10)
        return SL_OK; /* such a walsender takes no SQL */
    if (apply_settings(pg, o, err) != SL_OK)
        return sl_while(err, "preparing the session of the %s", pg->name);
    return o->want_replica_role ? try_replica_role(pg, err) : SL_OK;
}

static sl_rc not_connected(PGconn *conn, const sl_endpoint *e, const sl_pg_options *o, bool stopped,
                           sl_error *err)
{
    const char *side = sl_side_name(o->side);
    if (PQstatus(conn) == CONNECTION_BAD)
        return connect_failed(conn, e, o, err);
    if (stopped)
        return sl_fail(err, SL_CANCELLED, "stopped while connecting to the %s", side);
    sl_fail(err, SL_TRANSIENT, "cannot connect to the %s (%s:%s): no answer within %d seconds",
            side, e->socket ? e->socket : e->host, e->port ? e->port : "5432", CONNECT_TIMEOUT_S);
    return sl_hint(err, "Check host, port, and firewalls between the two machines.");
}

static sl_rc connect_to(params *p, const sl_endpoint *endpoint, const sl_pg_options *options,
                        sl_pg **out, sl_error *err)
{
    SL_BUF(startup);
    bool stopped = false;
    fill_params(p, endpoint, options);
    if (options->replication && options->server_version && options->server_version < SL_PG_10) {
        startup_options(options, &startup);
        add(p, "options", sl_buf_str(&startup));
    }
    PGconn *conn = PQconnectStartParams(p->keys, p->values, 0);
    if (!conn)
        abort();
    PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    if (PQstatus(conn) == CONNECTION_BAD || !poll_connect(conn, options->stop, &stopped)) {
        sl_rc rc = not_connected(conn, endpoint, options, stopped, err);
        PQfinish(conn);
        return rc;
    }
    sl_pg *pg = sl_xcalloc(1, sizeof(*pg));
    *pg = (sl_pg){ .conn = conn,
                   .side = options->side,
                   .name = options->name,
                   .replication = options->replication };
    sl_rc rc = prepare_session(pg, options, err);
    if (rc != SL_OK) {
        sl_pg_close(pg);
        return rc;
    }
    *out = pg;
    return SL_OK;
}

/* libpq would not go on to the next host: a tunnel takes every connection. */
static sl_rc connect_through(const sl_endpoint *e, const sl_pg_options *o, sl_pg **out,
                             sl_error *err)
{
    int ports[SL_TUNNEL_HOSTS], n;
    SL_SCRATCH(tmp);
    if (sl_tunnel_open(e->tunnel, o->stop, ports, &n, err) != SL_OK)
        return sl_while(err, "connecting to the %s", sl_side_name(o->side));
    sl_error why = SL_ERROR_INIT;
    const char *names = e->socket ? "localhost" : e->host;
    sl_rc rc = SL_TRANSIENT;
    for (int i = 0; i < n && rc != SL_OK && rc != SL_CANCELLED; i++) {
        params p = { .name = sl_arena_strndup(&tmp, names, strcspn(names, ",")),
                     .port = sl_arena_printf(&tmp, "%d", ports[i]) };
        names += strcspn(names, ",");
        names += *names == ',';
        sl_error_clear(&why);
        rc = connect_to(&p, e, o, out, &why);
    }
    if (rc != SL_OK && err && err->code == SL_OK)
        *err = why;
    return rc;
}

sl_rc sl_pg_connect(const sl_endpoint *endpoint, const sl_pg_options *options, sl_pg **out,
                    sl_error *err)
{
    params p = { .n = 0 };
    *out = NULL;
    return endpoint->tunnel ? connect_through(endpoint, options, out, err)
                            : connect_to(&p, endpoint, options, out, err);
}

void sl_pg_close(sl_pg *pg)
{
    if (!pg)
        return;
    PQfinish(pg->conn);
    free(pg);
}

/* Below 9.6 no function tells the system id: it is the first eight bytes of the control file, which
 * superusers may read. Written by a little-endian machine; another's is a wrong number, but always
 * the same. */
static sl_rc read_control_file(sl_pg *pg, sl_server *server, sl_error *err)
{
    SL_RESULT(res);
    unsigned b[8];
    uint64_t id = 0;
    if (sl_pg_query(pg, "SELECT pg_catalog.pg_read_binary_file('global/pg_control', 0, 8)", &res,
                    err) != SL_OK)
        return err->code;
    if (sscanf(PQgetvalue(res, 0, 0), "\\x%2x%2x%2x%2x%2x%2x%2x%2x", &b[0], &b[1], &b[2], &b[3],
               &b[4], &b[5], &b[6], &b[7]) != 8)
        return SL_OK;
    for (int i = 7; i >= 0; i--)
        id = id << 8 | b[i];
    snprintf(server->system_id, sizeof(server->system_id), "%llu", (unsigned long long)id);
    return SL_OK;
}

static sl_rc read_control_system(sl_pg *pg, sl_server *server, sl_error *err)
{
    SL_RESULT(res);
    if (sl_pg_query(pg,
                    "SELECT s.system_identifier, c.timeline_id FROM"
                    " pg_catalog.pg_control_system() s, pg_catalog.pg_control_checkpoint() c",
                    &res, err) != SL_OK)
        return err->code;
    snprintf(server->system_id, sizeof(server->system_id), "%s", PQgetvalue(res, 0, 0));
    server->timeline = (unsigned)sl_cell_int(res, 0, 1);
    return SL_OK;
}

/* Both may be reserved for superusers: then "". Only then: a task's id is made of it, and a
 * connection that is lost just here must not make another one. A source below 9.6 is asked over a
 * replication connection (task/open.c). */
static sl_rc read_system_id(sl_pg *pg, sl_server *server, sl_error *err)
{
    sl_rc rc = SL_OK;
    sl_error why = SL_ERROR_INIT;
    if (pg->version >= SL_PG_9_6)
        rc = read_control_system(pg, server, &why);
    else if (pg->side == SL_DESTINATION && server->superuser)
        rc = read_control_file(pg, server, &why);
    if (rc != SL_TRANSIENT)
        return SL_OK;
    *err = why;
    return rc;
}

sl_rc sl_pg_server(sl_pg *pg, sl_server *server, sl_error *err)
{
    SL_RESULT(res);
    memset(server, 0, sizeof(*server));
    server->version = pg->version;
    sl_version_text(pg->version, server->version_text);
    if (sl_pg_query(pg,
                    "SELECT pg_catalog.current_database(), current_user,"
                    " pg_catalog.current_setting('server_encoding'),"
                    " pg_catalog.current_setting('integer_datetimes') = 'on',"
                    " pg_catalog.current_setting('is_superuser') = 'on'",
                    &res, err) != SL_OK)
        return sl_while(err, "reading what the %s server is", sl_side_name(pg->side));
    snprintf(server->database, sizeof(server->database), "%s", PQgetvalue(res, 0, 0));
    snprintf(server->user, sizeof(server->user), "%s", PQgetvalue(res, 0, 1));
    snprintf(server->encoding, sizeof(server->encoding), "%s", PQgetvalue(res, 0, 2));
    server->integer_datetimes = sl_cell_bool(res, 0, 3);
    server->superuser = sl_cell_bool(res, 0, 4);
    return read_system_id(pg, server, err);
}

const char *sl_pick_encoding(const sl_server *source, const sl_server *destination, sl_side side)
{
    if (strcmp(source->encoding, destination->encoding) == 0)
        return source->encoding;
    if (strcmp(source->encoding, "SQL_ASCII") == 0)
        return side == SL_SOURCE ? "SQL_ASCII" : destination->encoding;
    if (strcmp(destination->encoding, "SQL_ASCII") == 0)
        return source->encoding;
    return "UTF8";
}
