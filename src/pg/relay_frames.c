/* relay_frames.c: finds the messages in a stream of server bytes.
 *
 * How: CopyData runs stay where they are; only their five-byte headers are read, and the rows where
 * blanks are left out. What is no
 * CopyData is handed to the callback and cut out, which moves bytes, but happens a handful of times
 * per COPY. A header that is not complete is held back whole, so that what has been kept always
 * ends in a message whose length is known: the relay can complete it if the source dies. Not here:
 * what the messages mean. */
#include "pg/relay_frames.h"
#include <string.h>
#include "core/buf.h"
#include "pg/relay_trim.h"

/* One CopyData header at data[in]: keeps as much of the message as is there. */
static size_t take_copy_data(sl_frames *f, char *data, size_t n, size_t in, size_t *out)
{
    uint64_t total = (uint64_t)sl_get32(data + in + 1) + 1;
    size_t take = n - in;
    if (take > total)
        take = (size_t)total;
    f->body_left = total - take;
    if (f->discard)
        return in + take;
    f->copy_data++;
    if (f->trim && take == total) {
        size_t body = sl_trim_row(f->trim, data + *out + 5, data + in + 5, take - 5);
        data[*out] = 'd';
        sl_put32(data + *out + 1, (uint32_t)body + 4);
        *out += body + 5;
        return in + take;
    }
    if (*out != in)
        memmove(data + *out, data + in, take);
    *out += take;
    return in + take;
}

bool sl_frames_scan(sl_frames *f, char *data, size_t n, size_t *kept, size_t *held)
{
    size_t in = f->body_left < n ? (size_t)f->body_left : n;
    size_t out = f->discard ? 0 : in;
    f->body_left -= in;
    while (n - in >= 5) {
        uint32_t len = sl_get32(data + in + 1);
        if (len < 4)
            return false;
        if (data[in] == 'd') {
            in = take_copy_data(f, data, n, in, &out);
            continue;
        }
        if (len > SL_FRAMES_MAX_OTHER)
            return false;
        if (n - in < (size_t)len + 1)
            break;
        if (!f->message(f->self, data[in], data + in + 5, len - 4))
            return false;
        in += (size_t)len + 1;
    }
    *kept = out;
    *held = n - in;
    if (out != in)
        memmove(data + out, data + in, n - in);
    return true;
}
