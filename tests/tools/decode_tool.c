/* decode_tool.c: what a decoder hands on, as lines, so that tests can compare decoders.
 *
 *   decode_tool DECODER [CATALOG] < MESSAGES
 *
 * MESSAGES: each its position (8 bytes) and its length (4 bytes), big-endian, then the message.
 * CATALOG, for test_decoding, is JSON: {"schema.table": {"oid": 1, "identity": "d", "columns":
 * [["name", type, typmod, key, generated], …]}, …}. Changes that cannot be addressed (UPDATE
 * without a key) and transactions without changes are left out: plugins differ in them. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg/versions.h"
#include "stream/decoder.h"

typedef struct printer {
    uint32_t printed_xid; /* of the transaction whose begin was printed */
    json_t *catalog;
} printer;

static bool has_key(const sl_relation *rel)
{
    for (uint16_t i = 0; i < rel->n_columns; i++)
        if (rel->columns[i].key)
            return true;
    return false;
}

static void print_row(const char *label, const sl_change *change, const uint32_t *off)
{
    if (!off)
        return;
    printf(" %s(", label);
    for (uint16_t i = 0; i < change->rel->n_columns; i++) {
        const uint8_t *v = change->data + off[i];
        printf("%s%s=%c", i ? ", " : "", change->rel->columns[i].name, sl_value_kind(v));
        fwrite(sl_value_data(v), 1, sl_value_len(v), stdout);
    }
    putchar(')');
}

static void print_head(printer *p, const sl_txn *txn)
{
    if (p->printed_xid != txn->xid)
        printf("begin %u at %lld\n", txn->xid, (long long)txn->commit_us);
    p->printed_xid = txn->xid;
}

static void print_relation(const sl_relation *rel)
{
    printf("%s.%s oid %u identity %c:", rel->schema, rel->table, rel->oid, rel->identity);
    for (uint16_t i = 0; i < rel->n_columns; i++)
        printf(" %s%s %u %d", rel->columns[i].name, rel->columns[i].key ? "*" : "",
               rel->columns[i].type, rel->columns[i].typmod);
}

static sl_rc on_change(void *self, const sl_txn *txn, const sl_change *change, sl_error *err)
{
    (void)err;
    if (change->op != SL_CHANGE_INSERT && !has_key(change->rel))
        return SL_OK;
    print_head(self, txn);
    printf("%s ", sl_change_op_name(change->op));
    print_relation(change->rel);
    print_row(change->old_kind == 'K' ? "key" : "old", change, change->old_off);
    print_row("new", change, change->new_off);
    puts(change->unchanged ? " unchanged" : "");
    return SL_OK;
}

static sl_rc on_truncate(void *self, const sl_txn *txn, const sl_change *change, sl_error *err)
{
    (void)err;
    print_head(self, txn);
    printf("truncate %d", change->options);
    for (int i = 0; i < change->n_rels; i++)
        printf(" %s", change->rels[i]->table);
    putchar('\n');
    return SL_OK;
}

static sl_rc on_commit(void *self, const sl_txn *txn, sl_error *err)
{
    printer *p = self;
    (void)err;
    if (p->printed_xid == txn->xid)
        printf("commit " SL_LSN_FMT "\n", SL_LSN_ARGS(txn->end_lsn));
    return SL_OK;
}

static sl_rc describe(void *self, const char *schema, const char *table, sl_arena *arena,
                      sl_catalog_table *out, sl_error *err)
{
    printer *p = self;
    json_t *known = json_object_get(p->catalog, sl_arena_printf(arena, "%s.%s", schema, table));
    json_t *columns = json_object_get(known, "columns"), *row;
    size_t i;
    (void)err;
    if (!known)
        return SL_NOT_FOUND;
    *out = (sl_catalog_table){ .oid = (uint32_t)json_integer_value(json_object_get(known, "oid")),
                               .identity = json_string_value(json_object_get(known, "identity"))[0],
                               .n_columns = json_array_size(columns) };
    out->columns = SL_NEW_ARRAY(arena, sl_catalog_column, out->n_columns);
    json_array_foreach(columns, i, row) out->columns[i] =
        (sl_catalog_column){ .name = json_string_value(json_array_get(row, 0)),
                             .type = (uint32_t)json_integer_value(json_array_get(row, 1)),
                             .typmod = (int32_t)json_integer_value(json_array_get(row, 2)),
                             .key = json_is_true(json_array_get(row, 3)),
                             .generated = json_is_true(json_array_get(row, 4)) };
    return SL_OK;
}

static void decode_all(const sl_decoder *decoder, void *self)
{
    uint8_t head[12];
    sl_error err = SL_ERROR_INIT;
    while (fread(head, 1, sizeof(head), stdin) == sizeof(head)) {
        size_t n = sl_get32(head + 8);
        void *message = sl_xmalloc(n ? n : 1);
        if (fread(message, 1, n, stdin) != n)
            exit(2);
        if (decoder->decode(self, message, n, sl_get64(head), &err) != SL_OK) {
            char text[4000];
            fprintf(stderr, "%s\n", sl_error_text(&err, text, sizeof(text)));
            exit(1);
        }
        free(message);
    }
}

int main(int argc, char **argv)
{
    printer p = { 0 };
    const sl_decoder *decoder;
    sl_error err = SL_ERROR_INIT;
    const sl_plugin *plugin = argc > 1 ? sl_plugin_by_decoder(argv[1]) : NULL;
    if (!plugin || sl_decoder_for(plugin, &decoder, &err) != SL_OK)
        return 2;
    p.catalog = argc > 2 ? json_load_file(argv[2], 0, NULL) : NULL;
    sl_sink sink = {
        .self = &p, .change = on_change, .truncate = on_truncate, .commit = on_commit
    };
    sl_catalog catalog = { .self = &p, .describe = describe };
    void *self = decoder->create(&sink, &catalog);
    decode_all(decoder, self);
    decoder->destroy(self);
    json_decref(p.catalog);
    return 0;
}
