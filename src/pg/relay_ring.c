/* relay_ring.c: the bytes between the relay's two sockets; see the header. */
#include "pg/relay_ring.h"
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static bool map_twice(sl_ring *ring, int fd)
{
    size_t size = ring->size;
    char *base = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return false;
    ring->base = base;
    for (int i = 0; i < 2; i++)
        if (mmap(base + (size_t)i * size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
                 0) == MAP_FAILED)
            return false;
    return true;
}

sl_rc sl_ring_init(sl_ring *ring, size_t size, sl_error *err)
{
    *ring = (sl_ring){ .size = size };
    int fd = memfd_create("pgsluice-relay", MFD_CLOEXEC);
    if (fd < 0)
        return sl_fail_errno(err, SL_TRANSIENT, "getting memory for the copy");
    bool ok = ftruncate(fd, (off_t)size) == 0 && map_twice(ring, fd);
    sl_rc rc = ok ? SL_OK : sl_fail_errno(err, SL_TRANSIENT, "mapping memory for the copy");
    close(fd);
    if (rc != SL_OK)
        sl_ring_free(ring);
    return rc;
}

void sl_ring_free(sl_ring *ring)
{
    if (ring->base)
        munmap(ring->base, 2 * ring->size);
    ring->base = NULL;
}
