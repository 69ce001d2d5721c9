/* tunnel.c: see tunnel.h.
 *
 * How: a thread per tunnel starts ssh and waits for its end, because a child dies with the thread
 * that started it (PR_SET_PDEATHSIG): that one lives as long as the tunnel. ssh says that all its
 * ports are open by running LocalCommand, whose word comes on its standard output; whatever goes
 * wrong it says on standard error. It runs in a session of its own, so that Ctrl-C ends it after
 * our last batch and not before. */
#include "pg/tunnel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/log.h"

#define UP_WITHIN_US INT64_C(30000000)
#define END_WITHIN_MS 2000

extern char **environ;

struct sl_tunnel {
    const sl_endpoint *endpoint;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool running; /* the thread is */
    sl_stop stop;
    bool up;
    int wanted, tried; /* starts asked for, and done */
    int ports[SL_TUNNEL_HOSTS], n;
    char said[400]; /* the end of ssh's standard error, in one line */
};

/* ---- the command ---- */

/* The n-th of a list separated by commas, the last one where there are fewer. */
static const char *nth(const char *list, int n, sl_arena *arena)
{
    for (; n > 0 && strchr(list, ','); n--)
        list = strchr(list, ',') + 1;
    return sl_arena_strndup(arena, list, strcspn(list, ","));
}

static int count(const char *list)
{
    int n = 1;
    for (; (list = strchr(list, ',')); list++)
        n++;
    return n;
}

/* A port of 127.0.0.1 that is free now. ssh says so if it is not any more. */
static int free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        address.sin_port = 0;
    if (fd >= 0)
        close(fd);
    return ntohs(address.sin_port);
}

static const char *forward(const sl_endpoint *e, int i, int port, sl_arena *arena)
{
    const char *remote = nth(e->port ? e->port : "5432", i, arena);
    return e->socket
               ? sl_arena_printf(arena, "127.0.0.1:%d:%s/.s.PGSQL.%s", port, e->socket, remote)
               : sl_arena_printf(arena, "127.0.0.1:%d:[%s]:%s", port, nth(e->host, i, arena),
                                 remote);
}

/* ssh expands % in the names of files. */
static const char *escape(const char *path, sl_arena *arena)
{
    SL_BUF(out);
    for (; *path; path++)
        sl_buf_printf(&out, "%s%c", *path == '%' ? "%" : "", *path);
    return sl_arena_strdup(arena, sl_buf_str(&out));
}

static const char **command(const sl_tunnel *t, sl_arena *arena)
{
    static const char *const fixed[] = {
        "ssh",
        "-N",
        "-T",
        "-a",
        "-x",
        "-oBatchMode=yes",
        "-oStrictHostKeyChecking=yes",
        "-oExitOnForwardFailure=yes",
        "-oServerAliveInterval=15",
        "-oServerAliveCountMax=3",
        "-oConnectTimeout=15",
        "-oControlMaster=no",
        "-oControlPath=none",
        "-oPermitLocalCommand=yes",
        "-oLocalCommand=echo up",
    };
    const sl_endpoint *e = t->endpoint;
    size_t n = sizeof(fixed) / sizeof(fixed[0]);
    const char **argv = SL_NEW_ARRAY(arena, const char *, n + 12 + 2 * SL_TUNNEL_HOSTS);
    memcpy(argv, fixed, sizeof(fixed));
    if (e->ssh_known_hosts)
        argv[n++] = sl_arena_printf(arena, "-oUserKnownHostsFile=\"%s\"",
                                    escape(e->ssh_known_hosts, arena));
    if (e->ssh_port)
        argv[n++] = sl_arena_printf(arena, "-p%s", e->ssh_port);
    if (e->ssh_user)
        argv[n++] = sl_arena_printf(arena, "-l%s", e->ssh_user);
    if (e->ssh_key_file) {
        argv[n++] = "-oIdentitiesOnly=yes";
        argv[n++] = sl_arena_printf(arena, "-i%s", escape(e->ssh_key_file, arena));
    }
    for (int i = 0; i < t->n; i++)
        argv[n++] = sl_arena_printf(arena, "-L%s", forward(e, i, t->ports[i], arena));
    argv[n++] = "--";
    argv[n++] = e->ssh_host;
    return argv;
}

/* LocalCommand is run by $SHELL, which an account of a service may not have. */
static const char **environment(sl_arena *arena)
{
    size_t n = 0, kept = 0;
    while (environ[n])
        n++;
    const char **out = SL_NEW_ARRAY(arena, const char *, n + 2);
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "SHELL=", 6) != 0 && strncmp(environ[i], "PGSLUICE_", 9) != 0)
            out[kept++] = environ[i];
    out[kept] = "SHELL=/bin/sh";
    return out;
}

/* ---- the process ---- */

typedef struct child {
    pid_t pid;
    int pidfd, out, err;
} child;

__attribute__((noreturn)) static void become_ssh(const char **argv, const char **env, int out,
                                                 int err, pid_t parent)
{
    static const char missing[] = "ssh cannot be started: is it installed?\n";
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    int null = open("/dev/null", O_RDWR);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
        _exit(126);
    setsid();
    if (dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        dup2(err, STDERR_FILENO) >= 0)
        execvpe("ssh", (char *const *)argv, (char *const *)env);
    if (write(STDERR_FILENO, missing, sizeof(missing) - 1) < 0)
        _exit(126);
    _exit(127);
}

static bool spawn(const sl_tunnel *t, child *c)
{
    SL_SCRATCH(tmp);
    int out[2] = { -1, -1 }, err[2] = { -1, -1 };
    const char **argv = command(t, &tmp), **env = environment(&tmp);
    pid_t parent = getpid();
    bool piped = pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0;
    c->pid = piped ? fork() : -1;
    if (c->pid == 0)
        become_ssh(argv, env, out[1], err[1], parent);
    close(out[1]);
    close(err[1]);
    c->out = out[0];
    c->err = err[0];
    c->pidfd = c->pid > 0 ? (int)syscall(SYS_pidfd_open, c->pid, 0) : -1;
    if (c->pidfd >= 0) {
        fcntl(c->out, F_SETFL, O_NONBLOCK);
        fcntl(c->err, F_SETFL, O_NONBLOCK);
        return true;
    }
    close(out[0]);
    close(err[0]);
    if (c->pid > 0) {
        kill(c->pid, SIGKILL);
        waitpid(c->pid, NULL, 0);
    }
    return false;
}

static void end_child(child *c)
{
    struct pollfd ended = { .fd = c->pidfd, .events = POLLIN };
    kill(c->pid, SIGTERM);
    if (poll(&ended, 1, END_WITHIN_MS) == 0)
        kill(c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    close(c->pidfd);
    close(c->out);
    close(c->err);
}

/* What ssh says, in one line: the end of it counts. */
static void hear(sl_tunnel *t, int fd)
{
    char block[512];
    ssize_t n;
    while ((n = read(fd, block, sizeof(block))) > 0) {
        pthread_mutex_lock(&t->lock);
        for (ssize_t i = 0; i < n; i++) {
            unsigned char c = (unsigned char)block[i];
            size_t len = strlen(t->said);
            if (len + 1 == sizeof(t->said)) {
                memmove(t->said, t->said + 100, len - 99);
                len -= 100;
            }
            if (c == '\r' || (c == '\n' && len == 0))
                continue;
            t->said[len] = c < ' ' || c == 0x7f ? ' ' : (char)c;
            t->said[len + 1] = '\0';
        }
        pthread_mutex_unlock(&t->lock);
    }
}

static void tell(sl_tunnel *t, bool up, bool tried)
{
    pthread_mutex_lock(&t->lock);
    t->up = up;
    t->tried += tried;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

/* Until it ends, or does not come up, or the tunnel is closed. */
static void attend(sl_tunnel *t, child *c)
{
    char word[16];
    bool up = false, ended = false;
    int out = c->out, heard = c->err;
    int64_t deadline = sl_mono_us() + UP_WITHIN_US;
    while (!ended && !sl_stopping(&t->stop) && (up || sl_mono_us() < deadline)) {
        struct pollfd fds[] = { { .fd = c->pidfd, .events = POLLIN },
                                { .fd = t->stop.fd, .events = POLLIN },
                                { .fd = heard, .events = POLLIN },
                                { .fd = out, .events = POLLIN } };
        poll(fds, 4, up ? -1 : 500);
        ended = fds[0].revents != 0;
        hear(t, c->err);
        if (fds[2].revents & POLLHUP)
            heard = -1;
        if (fds[3].revents) {
            up = read(out, word, sizeof(word)) > 0;
            out = -1;
            if (up)
                tell(t, true, true);
        }
    }
    if (up && !sl_stopping(&t->stop))
        sl_warn("the SSH tunnel by %s has ended%s%s: the next connection makes it again",
                t->endpoint->ssh_host, t->said[0] ? ": " : "", t->said);
    tell(t, false, !up);
}

static void start_ssh(sl_tunnel *t)
{
    child c;
    pthread_mutex_lock(&t->lock);
    t->said[0] = '\0';
    for (int i = 0; i < t->n; i++)
        t->ports[i] = free_port();
    pthread_mutex_unlock(&t->lock);
    if (!spawn(t, &c)) {
        pthread_mutex_lock(&t->lock);
        snprintf(t->said, sizeof(t->said), "ssh cannot be started: %s", strerror(errno));
        pthread_mutex_unlock(&t->lock);
        tell(t, false, true);
        return;
    }
    attend(t, &c);
    end_child(&c);
}

static void *keep(void *arg)
{
    sl_tunnel *t = arg;
    pthread_mutex_lock(&t->lock);
    while (!sl_stopping(&t->stop)) {
        if (t->wanted <= t->tried) {
            pthread_cond_wait(&t->changed, &t->lock);
            continue;
        }
        pthread_mutex_unlock(&t->lock);
        start_ssh(t);
        pthread_mutex_lock(&t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* ---- the tunnel ---- */

sl_tunnel *sl_tunnel_new(const sl_endpoint *endpoint)
{
    sl_tunnel *t = sl_xcalloc(1, sizeof(*t));
    t->endpoint = endpoint;
    t->n = endpoint->host ? count(endpoint->host) : 1;
    t->n = t->n > SL_TUNNEL_HOSTS ? SL_TUNNEL_HOSTS : t->n;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    return t;
}

void sl_tunnel_free(sl_tunnel *t)
{
    if (!t)
        return;
    if (t->running) {
        sl_stop_request(&t->stop, SL_STOP_DONE);
        pthread_mutex_lock(&t->lock);
        pthread_cond_broadcast(&t->changed);
        pthread_mutex_unlock(&t->lock);
        pthread_join(t->thread, NULL);
        sl_stop_free(&t->stop);
    }
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static const struct remedy {
    const char *said;
    sl_rc code;
    const char *hint;
} remedies[] = {
    { "has changed and you have requested", SL_FAILED,
      "It may be another machine. If its administrator confirms the new key, replace it: "
      "ssh-keygen "
      "-R HOST, then ssh-keyscan HOST >> the known_hosts file." },
    { "Host key verification failed", SL_FAILED,
      "Make the host known: ssh-keyscan HOST, compare with what its administrator says, and put "
      "the "
      "line into ssh.known_hosts (default: ~/.ssh/known_hosts of the account that runs "
      "pgsluice)." },
    { "not accessible", SL_FAILED,
      "Check ssh.key_file: the account that runs pgsluice cannot read it." },
    { "bad permissions", SL_FAILED, "Let nobody else read ssh.key_file: chmod 600." },
    { "Permission denied", SL_FAILED,
      "Check ssh.user and ssh.key_file; the key's public half has to be in ~/.ssh/authorized_keys "
      "there. A key with a passphrase has to be in an agent." },
    { "Could not resolve", SL_TRANSIENT, "Check ssh.host: the name is unknown." },
    { "Connection refused", SL_TRANSIENT, "Check ssh.host and ssh.port: is sshd running there?" },
    { "is it installed", SL_FAILED, "Install OpenSSH's client (openssh-client)." },
    { "No user exists", SL_FAILED,
      "ssh needs a name for the account that runs pgsluice (/etc/passwd)." },
    { "Address already in use", SL_TRANSIENT, "Another program was faster; it is tried again." },
    { "", SL_TRANSIENT, "Check ssh.host and ssh.port, and firewalls between the two machines." },
};

/* Under the lock. */
static sl_rc not_up(const sl_tunnel *t, sl_error *err)
{
    const struct remedy *r = remedies;
    while (!strstr(t->said, r->said))
        r++;
    sl_fail(err, r->code, "no SSH tunnel by %s%s%s: %s",
            t->endpoint->ssh_user ? t->endpoint->ssh_user : "", t->endpoint->ssh_user ? "@" : "",
            t->endpoint->ssh_host, t->said[0] ? t->said : "no answer");
    return sl_hint(err, "%s", r->hint);
}

/* Under the lock. */
static sl_rc start_thread(sl_tunnel *t, sl_error *err)
{
    if (t->running)
        return SL_OK;
    if (!sl_stop_init(&t->stop))
        return sl_fail_errno(err, SL_TRANSIENT, "an SSH tunnel cannot be made");
    t->running = pthread_create(&t->thread, NULL, keep, t) == 0;
    if (t->running)
        return SL_OK;
    sl_stop_free(&t->stop);
    return sl_fail(err, SL_TRANSIENT, "an SSH tunnel cannot be made: no thread");
}

sl_rc sl_tunnel_open(sl_tunnel *t, const sl_stop *stop, int ports[SL_TUNNEL_HOSTS], int *n,
                     sl_error *err)
{
    pthread_mutex_lock(&t->lock);
    sl_rc rc = start_thread(t, err);
    int before = t->tried;
    if (rc == SL_OK && !t->up && t->wanted <= before) {
        t->wanted = before + 1;
        pthread_cond_broadcast(&t->changed);
    }
    while (rc == SL_OK && !t->up && t->tried == before) {
        pthread_mutex_unlock(&t->lock);
        bool stopped = !sl_sleep_ms(10, stop);
        pthread_mutex_lock(&t->lock);
        if (stopped)
            rc = sl_fail(err, SL_CANCELLED, "stopped while an SSH tunnel was made");
    }
    if (rc == SL_OK && t->up)
        memcpy(ports, t->ports, sizeof(t->ports));
    else if (rc == SL_OK)
        rc = not_up(t, err);
    *n = t->n;
    pthread_mutex_unlock(&t->lock);
    return rc;
}

void sl_tunnel_said(sl_tunnel *t, char *out, size_t size)
{
    pthread_mutex_lock(&t->lock);
    snprintf(out, size, "%s", t->said);
    pthread_mutex_unlock(&t->lock);
}
