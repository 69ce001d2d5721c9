/* process.c: children of the service: this executable again, on one socket.
 *
 * Between fork and exec only async-signal-safe calls are made, since other threads hold locks. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/close_range.h>

#include "service/service.h"

#define MOST_ASKING 8
#define MOST_OUTPUT ((size_t)32 << 20)

_Noreturn static void become(const char *path, const char *const *words, int fd, int stderr_fd,
                             pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* Dies with the service. If that is gone already, the request came too late. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(127);
    if (dup2(fd, 0) < 0 || dup2(fd, 1) < 0 || (stderr_fd >= 0 && dup2(stderr_fd, 2) < 0))
        _exit(127);
    close_range(3, ~0U, 0);
    execv(path, (char *const *)words);
    _exit(127);
}

static sl_rc start(sl_process *p, const char *path, const char *const *words, const char *text,
                   int stderr_fd, sl_error *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return sl_fail_errno(err, SL_TRANSIENT, "a worker cannot be started");
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(path, words, ends[1], stderr_fd, parent);
    close(ends[1]);
    int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (pidfd < 0) {
        sl_fail_errno(err, SL_TRANSIENT, "a worker cannot be started");
        close(ends[0]);
        if (pid > 0) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        }
        return err ? err->code : SL_TRANSIENT;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *p = (sl_process){ .pid = pid, .pidfd = pidfd, .fd = ends[0], .keep_input = p->keep_input };
    sl_buf_puts(&p->input, text);
    if (p->keep_input) /* nothing else says where it ends */
        sl_buf_putc(&p->input, '\n');
    sl_process_move(p);
    return SL_OK;
}

sl_rc sl_process_start(sl_process *p, const char *const *words, const char *text, int stderr_fd,
                       sl_error *err)
{
    return start(p, "/proc/self/exe", words, text, stderr_fd, err);
}

static void wipe_input(sl_process *p)
{
    if (p->input.data)
        explicit_bzero(p->input.data, p->input.len);
    sl_buf_free(&p->input);
    p->sent = 0;
}

void sl_process_move(sl_process *p)
{
    while (p->input.data && p->sent < p->input.len) {
        ssize_t n = send(p->fd, p->input.data + p->sent, p->input.len - p->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        p->sent = n < 0 ? p->input.len : p->sent + (size_t)n; /* it has gone: its end tells why */
    }
    if (p->input.data && p->sent == p->input.len) {
        if (!p->keep_input)
            shutdown(p->fd, SHUT_WR);
        wipe_input(p);
    }
    char block[16384];
    for (int i = 0; i < 16 && !p->eof; i++) {
        ssize_t n = recv(p->fd, block, sizeof(block), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n <= 0)
            p->eof = true;
        else
            sl_buf_add(&p->output, block, (size_t)n);
    }
}

short sl_process_wants(const sl_process *p)
{
    return (short)((p->eof ? 0 : POLLIN) | (p->input.data ? POLLOUT : 0));
}

static void forget(sl_process *p)
{
    close(p->fd);
    close(p->pidfd);
    wipe_input(p);
    p->pid = 0;
}

bool sl_process_ended(sl_process *p, int *status)
{
    if (waitpid(p->pid, status, WNOHANG) != p->pid)
        return false;
    while (!p->eof) { /* what it wrote before its end; nobody else has the socket */
        size_t before = p->output.len;
        sl_process_move(p);
        if (p->output.len == before && !p->eof)
            break;
    }
    forget(p);
    return true;
}

void sl_process_kill(sl_process *p)
{
    if (p->pid > 0) {
        kill(p->pid, SIGKILL);
        waitpid(p->pid, NULL, 0);
        forget(p);
    }
    sl_buf_free(&p->output);
}

static sl_rc wait_for(sl_service *s, sl_process *p, int64_t deadline, int *status, sl_error *err)
{
    while (!sl_process_ended(p, status)) {
        int64_t left = (deadline - sl_mono_us()) / 1000;
        struct pollfd fds[] = { { .fd = p->eof ? -1 : p->fd, .events = sl_process_wants(p) },
                                { .fd = p->pidfd, .events = POLLIN } };
        if (left <= 0 || s->stopping) {
            sl_fail(err, SL_TRANSIENT, "the servers did not answer in time");
            return sl_hint(err, "Look at host, port and firewalls; then try again.");
        }
        if (p->output.len > MOST_OUTPUT)
            return sl_fail(err, SL_FAILED, "the answer is longer than 32 MiB");
        poll(fds, 2, left < 1000 ? (int)left : 1000);
        sl_process_move(p);
    }
    return SL_OK;
}

sl_rc sl_process_run(sl_service *s, const char *path, const char *const *words, const char *text,
                     int seconds, sl_buf *output, int *code, sl_error *err)
{
    sl_process p = { 0 };
    int status = 0, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    sl_rc rc = start(&p, path, words, text, null, err);
    if (rc == SL_OK)
        rc = wait_for(s, &p, sl_mono_us() + seconds * INT64_C(1000000), &status, err);
    if (null >= 0)
        close(null);
    if (rc == SL_OK) {
        sl_buf_add(output, sl_buf_str(&p.output), p.output.len);
        *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    sl_process_kill(&p);
    return rc;
}

sl_rc sl_process_ask(sl_service *s, const char *const *words, const char *text, int seconds,
                     sl_buf *output, int *code, sl_error *err)
{
    sl_rc rc;
    if (++s->asking > MOST_ASKING) {
        rc = sl_fail(err, SL_TRANSIENT, "too many questions to servers at once");
        sl_hint(err, "Try again in a few seconds.");
    } else {
        rc = sl_process_run(s, "/proc/self/exe", words, text, seconds, output, code, err);
    }
    s->asking--;
    return rc;
}
