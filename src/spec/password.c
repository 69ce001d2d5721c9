/* password.c: see password.h. */
#include "spec/password.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_PASSWORD 4096

static void close_fdp(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

sl_rc sl_password_from_file(sl_arena *arena, const char *where, const char *path,
                            const char **password, sl_error *err)
{
    *password = NULL;
    /* Not blocking: opening a FIFO would wait for its writer. */
    __attribute__((cleanup(close_fdp))) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        sl_fail(err, SL_USAGE, "%s: %s cannot be read: %s", where, path, strerror(errno));
        return sl_hint(err, "The file must exist and be readable by the user that runs pgsluice.");
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return sl_fail(err, SL_USAGE, "%s: %s is not a regular file", where, path);
    char buf[MAX_PASSWORD + 2];
    size_t n = 0;
    while (n < sizeof(buf)) {
        ssize_t got = read(fd, buf + n, sizeof(buf) - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return sl_fail(err, SL_USAGE, "%s: %s cannot be read: %s", where, path,
                           strerror(errno));
        if (got == 0)
            break;
        n += (size_t)got;
    }
    if (n > 0 && buf[n - 1] == '\n')
        n -= n > 1 && buf[n - 2] == '\r' ? 2 : 1;
    if (n == 0)
        sl_fail(err, SL_USAGE, "%s: %s is empty", where, path);
    else if (n > MAX_PASSWORD)
        sl_fail(err, SL_USAGE, "%s: %s is too large for a password (over 4 KiB)", where, path);
    else if (memchr(buf, '\0', n) || memchr(buf, '\n', n))
        sl_fail(err, SL_USAGE, "%s: %s holds more than one line, or NUL bytes", where, path);
    else
        *password = sl_arena_strndup(arena, buf, n);
    explicit_bzero(buf, sizeof(buf));
    return *password ? SL_OK : SL_USAGE;
}

sl_rc sl_password_from_env(sl_arena *arena, const char *where, const char *name,
                           const char **password, sl_error *err)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    if (strspn(name, letters) != strlen(name))
        return sl_fail(err, SL_USAGE,
                       "%s: is not the name of an environment variable (letters, digits and _)",
                       where);
    const char *value = getenv(name);
    if (!value || !value[0]) {
        sl_fail(err, SL_USAGE, "%s: the environment variable %s is %s", where, name,
                value ? "empty" : "not set");
        return sl_hint(err, "Set it for the process that runs pgsluice: export %s=…", name);
    }
    *password = sl_arena_strdup(arena, value);
    return SL_OK;
}

sl_rc sl_password_from_credential(sl_arena *arena, const char *where, const char *name,
                                  const char **password, sl_error *err)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (strchr(name, '/') || name[0] == '.')
        return sl_fail(err, SL_USAGE, "%s: is not the name of a credential (no / in it)", where);
    if (!directory || !directory[0]) {
        sl_fail(err, SL_USAGE, "%s: there is no credentials directory ($CREDENTIALS_DIRECTORY)",
                where);
        return sl_hint(err,
                       "Credentials are given by systemd: LoadCredential=%s:/path in the unit. "
                       "Elsewhere use password_file or password_env.",
                       name);
    }
    SL_SCRATCH(scratch);
    return sl_password_from_file(arena, where, sl_arena_printf(&scratch, "%s/%s", directory, name),
                                 password, err);
}
