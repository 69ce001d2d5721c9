/* bundle.c: see bundle.h. The archive is tar (ustar) in gzip with stored blocks: nothing is
 * compressed, any program can unpack it, and no library is needed. */
#include "service/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/log.h"

#define LOG_BYTES ((long)2 << 20) /* of each log's end */
#define HIDDEN "(removed)"

/* ---- tar ---- */

static void tar_add(sl_buf *tar, const char *name, const sl_buf *content)
{
    char block[512] = "";
    unsigned sum = 0;
    snprintf(block, 100, "%s", name);
    snprintf(block + 100, 8, "0000600");
    snprintf(block + 108, 8, "0000000");
    snprintf(block + 116, 8, "0000000");
    snprintf(block + 124, 12, "%011o", (unsigned)content->len);
    snprintf(block + 136, 12, "%011llo", (unsigned long long)(sl_now_us() / 1000000));
    memset(block + 148, ' ', 8); /* the sum counts with blanks in its place */
    block[156] = '0';
    memcpy(block + 257,
           "ustar\0"
           "00",
           8);
    for (size_t i = 0; i < sizeof(block); i++)
        sum += (unsigned char)block[i];
    snprintf(block + 148, 8, "%06o", sum);
    sl_buf_add(tar, block, sizeof(block));
    sl_buf_add(tar, sl_buf_str((sl_buf *)content), content->len);
    memset(block, 0, sizeof(block));
    sl_buf_add(tar, block, (512 - content->len % 512) % 512);
}

static void tar_end(sl_buf *tar)
{
    char zeros[1024] = "";
    sl_buf_add(tar, zeros, sizeof(zeros));
}

/* ---- gzip ---- */

static uint32_t crc32_of(const char *data, size_t n)
{
    uint32_t crc = ~0U;
    for (size_t i = 0; i < n; i++) {
        crc ^= (unsigned char)data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320U : 0);
    }
    return ~crc;
}

static void add_le(sl_buf *out, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        sl_buf_putc(out, (char)(value >> (8 * i)));
}

static void gzip_stored(const sl_buf *in, sl_buf *out)
{
    sl_buf_add(out, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
    for (size_t at = 0; at < in->len;) {
        size_t n = in->len - at < 65535 ? in->len - at : 65535;
        sl_buf_putc(out, at + n == in->len); /* the last block's mark; type: stored */
        add_le(out, (uint32_t)n, 2);
        add_le(out, ~(uint32_t)n, 2);
        sl_buf_add(out, in->data + at, n);
        at += n;
    }
    add_le(out, crc32_of(in->data, in->len), 4);
    add_le(out, (uint32_t)in->len, 4);
}

/* ---- secrets ---- */

static void replace_all(sl_buf *text, const char *secret)
{
    size_t n = strlen(secret);
    sl_buf out = { 0 };
    const char *from = sl_buf_str(text), *end = from + text->len, *at;
    while ((at = memmem(from, (size_t)(end - from), secret, n))) {
        sl_buf_add(&out, from, (size_t)(at - from));
        sl_buf_puts(&out, HIDDEN);
        from = at + n;
    }
    sl_buf_add(&out, from, (size_t)(end - from));
    sl_buf_free(text);
    *text = out;
}

/* As it is, and as JSON writes it. */
static void hide(sl_buf *text, const char *secret)
{
    if (!secret || strlen(secret) < 3)
        return;
    replace_all(text, secret);
    json_t *string = json_string(secret);
    char *dumped = json_dumps(string, JSON_ENCODE_ANY);
    if (dumped && strlen(dumped) > 2) {
        dumped[strlen(dumped) - 1] = '\0';
        replace_all(text, dumped + 1);
    }
    if (dumped)
        explicit_bzero(dumped, strlen(dumped));
    free(dumped);
    json_decref(string);
}

/* ---- the parts ---- */

typedef struct bundle {
    sl_request *r;
    sl_buf tar;
    const char *passwords[2];
} bundle;

static void add_text(bundle *b, const char *name, sl_buf *text)
{
    for (int i = 0; i < 2; i++)
        hide(text, b->passwords[i]);
    tar_add(&b->tar, sl_arena_printf(&b->r->arena, "pgsluice-%s/%s", b->r->params[0], name), text);
}

/* json is stolen. */
static void add_json(bundle *b, const char *name, json_t *json)
{
    SL_BUF(text);
    char *dumped = json_dumps(json, JSON_INDENT(2));
    sl_buf_puts(&text, dumped ? dumped : "null");
    sl_buf_putc(&text, '\n');
    free(dumped);
    json_decref(json);
    add_text(b, name, &text);
}

static void add_log(bundle *b, const char *name)
{
    SL_BUF(text);
    char block[65536];
    const char *path = sl_arena_printf(&b->r->arena, "%s/log/%s", b->r->s->options.data_dir, name);
    FILE *in = fopen(path, "re");
    if (!in)
        return;
    if (fseek(in, -LOG_BYTES, SEEK_END) != 0)
        rewind(in);
    for (size_t n; (n = fread(block, 1, sizeof(block), in)) > 0;)
        sl_buf_add(&text, block, n);
    fclose(in);
    add_text(b, name, &text);
}

static void add_records(bundle *b, const sl_task_row *row)
{
    sl_catalog *catalog = b->r->s->catalog;
    sl_page page = { .limit = 1000 };
    sl_error ignored = SL_ERROR_INIT;
    json_t *found = NULL;
    SL_BUF(spec);
    sl_specs_to_yaml(row->spec, &spec);
    add_text(b, "spec.yaml", &spec);
    if (sl_task_get(catalog, row->id, &found, &ignored) == SL_OK)
        add_json(b, "task.json", found);
    if (sl_findings_read(catalog, row->id, &found, &ignored) == SL_OK)
        add_json(b, "findings.json", found);
    if (sl_tables_list(catalog, row->id, NULL, NULL, &page, &found, &ignored) == SL_OK)
        add_json(b, "tables.json", found);
    if (sl_event_list(catalog, row->id, NULL, &page, &found, &ignored) == SL_OK)
        add_json(b, "events.json", found);
}

static void add_present(bundle *b)
{
    json_t *present = json_object();
    {
        SL_SERVICE_LOCKED(b->r->s);
        const sl_task *task = sl_supervisor_find(b->r->s, b->r->params[0]);
        if (task)
            json_object_update_new(present,
                                   json_pack("{s:s, s:s, s:i, s:i, s:O?, s:O?}", "state",
                                             task->state, "desired", task->desired, "restarts",
                                             task->restarts, "pid", (int)task->process.pid,
                                             "progress", task->progress, "retry", task->retry));
    }
    json_object_set_new(present, "version", json_string(SL_VERSION));
    add_json(b, "present.json", present);
}

sl_rc sl_bundle_make(sl_request *r, sl_buf *archive, sl_error *err)
{
    bundle b = { .r = r };
    sl_task_row row;
    sl_rc rc = sl_task_read(r->s->catalog, r->params[0], &r->arena, &row, err);
    if (rc == SL_OK)
        rc = sl_specs_open(r->s, &row, &r->arena, b.passwords, err);
    if (rc == SL_OK) {
        add_records(&b, &row);
        add_present(&b);
        add_log(&b, sl_arena_printf(&r->arena, "%s.log", row.id));
        add_log(&b, sl_arena_printf(&r->arena, "%s.log.1", row.id));
        tar_end(&b.tar);
        gzip_stored(&b.tar, archive);
    }
    for (int i = 0; i < 2; i++)
        if (b.passwords[i])
            explicit_bzero((char *)b.passwords[i], strlen(b.passwords[i]));
    sl_buf_free(&b.tar);
    sl_task_row_free(&row);
    return rc;
}
