/* serve.c: the service as a whole: catalog, first admin, supervisor, HTTP, and the orderly end. */
#include "service/serve.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/log.h"
#include "service/http.h"

#define PASSWORD_VARIABLE "PGSLUICE_ADMIN_PASSWORD"

/* Takes the password out of the environment: the memory that /proc/PID/environ shows is wiped, and
 * workers do not inherit it. */
static char *take_password(sl_arena *arena)
{
    char *given = getenv(PASSWORD_VARIABLE);
    if (!given)
        return NULL;
    char *copy = sl_arena_strdup(arena, given);
    explicit_bzero(given, strlen(given));
    unsetenv(PASSWORD_VARIABLE);
    return copy;
}

static sl_rc make_admin(sl_service *s, sl_error *err)
{
    SL_SCRATCH(tmp);
    int64_t users = 0;
    char a[SL_ID_SIZE], b[SL_ID_SIZE];
    char *given = take_password(&tmp);
    sl_rc rc = sl_user_count(s->catalog, &users, err);
    if (rc != SL_OK || users > 0)
        return rc;
    if (given && strlen(given) < 10)
        return sl_fail(err, SL_USAGE, PASSWORD_VARIABLE " has fewer than 10 characters");
    const char *password =
        given ? given : sl_arena_printf(&tmp, "%s%s", sl_catalog_new_id(a), sl_catalog_new_id(b));
    rc = sl_user_create(s->catalog, "admin", password, SL_ROLE_ADMIN, err);
    if (rc == SL_OK && !given) {
        printf("The user admin has the password %s\nIt is shown this once; change it after the "
               "first login.\n",
               password);
        fflush(stdout);
    }
    if (given)
        explicit_bzero(given, strlen(given));
    return rc;
}

/* systemd's notification protocol: a datagram to $NOTIFY_SOCKET. */
void sl_serve_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, n) < 0)
        sl_warn("systemd could not be told: %s", state);
    close(fd);
}

static sl_rc run(sl_service *s, sl_error *err)
{
    sl_rc rc = s->options.secrets ? sl_specs_allow_references(s->options.secrets, err) : SL_OK;
    if (rc == SL_OK)
        rc = sl_catalog_open(s->options.data_dir, &s->catalog, err);
    if (rc == SL_OK)
        rc = make_admin(s, err);
    if (rc == SL_OK)
        rc = sl_supervisor_load(s, err);
    if (rc == SL_OK)
        sl_metering_load(s);
    if (rc == SL_OK)
        rc = sl_alerts_load(s, err);
    if (rc == SL_OK)
        rc = sl_deliver_start(s, err);
    if (rc == SL_OK)
        rc = sl_http_start(s, err);
    if (rc == SL_OK) {
        sl_serve_notify("READY=1");
        sl_supervisor_run(s);
        sl_serve_notify("STOPPING=1");
        sl_info("stopped");
    }
    return rc;
}

sl_rc sl_serve(const sl_serve_options *options, sl_stop *stop, sl_error *err)
{
    sl_service *s = sl_xcalloc(1, sizeof(*s));
    /* A core would hold passwords. */
    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    s->options = *options;
    s->stop = stop;
    s->wake_fd = -1;
    s->started_us = sl_now_us();
    const char *watchdog = getenv("WATCHDOG_USEC");
    s->watchdog_us = watchdog ? strtoll(watchdog, NULL, 10) / 3 : 0;
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->once, NULL);
    pthread_cond_init(&s->news, NULL);
    s->throttle = sl_throttle_new();
    sl_rc rc = run(s, err);
    s->stopping = true;
    sl_http_stop(s);
    sl_deliver_stop(s);
    sl_alerts_free(s);
    sl_metering_free(s);
    sl_supervisor_free(s);
    sl_catalog_close(s->catalog);
    sl_throttle_free(s->throttle);
    pthread_cond_destroy(&s->news);
    pthread_mutex_destroy(&s->once);
    pthread_mutex_destroy(&s->lock);
    free(s);
    return rc;
}
