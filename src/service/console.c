/* console.c: serves the web console out of the executable, without any access: what it shows comes
 * from the API, which asks for one.
 *
 * Pages (/, /tasks/ID, …) are all index.html: the browser's code looks at the path. Files under
 * /assets/ carry a hash in their names and may be kept forever; everything else is asked for again
 * by its ETag. The policy lets a page load code from this server only, and nothing inline; styles
 * may be inline, since the component library makes them at run time. */
#include "service/console.h"

#include <string.h>

static const char *const policy =
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' "
    "data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'";

static const sl_console_file *find_file(const char *path)
{
    for (const sl_console_file *file = sl_console_files; file->path; file++)
        if (strcmp(file->path, path) == 0)
            return file;
    return NULL;
}

/* A page of the console: asked for by a browser, and no name of a file. */
static bool is_page(sl_request *r, const char *path)
{
    if (strcmp(path, "/") == 0)
        return true;
    return strncmp(path, "/api/", 5) != 0 && !strchr(path, '.') && sl_accepts(r, "text/html");
}

static void reply_file(sl_request *r, const sl_console_file *file)
{
    const char *known = sl_header(r, "If-None-Match"), *encodings = sl_header(r, "Accept-Encoding");
    bool kept = strncmp(file->path, "/assets/", 8) == 0;
    if (file->gzip && !(encodings && strstr(encodings, "gzip"))) {
        sl_problem(r, "bad_request", "Send Accept-Encoding: gzip, as browsers do.",
                   "%s is there in gzip's form only", file->path);
        return;
    }
    bool same = known && strstr(known, file->etag);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(same ? 0 : file->size, same ? NULL : (void *)file->data,
                                        MHD_RESPMEM_PERSISTENT);
    const char *headers[][2] = {
        { "Content-Type", file->type },
        { "Content-Encoding", file->gzip && !same ? "gzip" : NULL },
        { "ETag", file->etag },
        { "Cache-Control", kept ? "public, max-age=31536000, immutable" : "no-cache" },
        { "Vary", "Accept-Encoding" },
        { "X-Content-Type-Options", "nosniff" },
        { "Content-Security-Policy", policy },
        { "X-Frame-Options", "DENY" },
        { "Referrer-Policy", "no-referrer" },
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        if (headers[i][1])
            MHD_add_response_header(response, headers[i][0], headers[i][1]);
    r->answered = true;
    r->status = same ? 304 : 200;
    MHD_queue_response(r->connection, (unsigned)r->status, response);
    MHD_destroy_response(response);
}

bool sl_console_reply(sl_request *r, const char *method, const char *path)
{
    const sl_console_file *file = find_file(path);
    if (strcmp(method, "GET") != 0 || !sl_console_files[0].path)
        return false;
    if (!file && is_page(r, path))
        file = &sl_console_files[0];
    if (file)
        reply_file(r, file);
    return file != NULL;
}
