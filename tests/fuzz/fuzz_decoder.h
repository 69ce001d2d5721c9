/* fuzz_decoder.h: a decoder against arbitrary messages, with a sink that reads every byte it is
 * given and checks what decoders promise; for the fuzzers of decoders.
 *
 * Input: messages, each a 4-byte big-endian length and that many bytes (a longer length takes the
 * rest). */
#ifndef FUZZ_DECODER_H
#define FUZZ_DECODER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stream/decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct fuzzed {
    const sl_decoder *kind;
    void *decoder;
} fuzzed;

static volatile uint8_t eaten; /* so that reads are not optimized away */

static void must(bool what)
{
    if (!what)
        abort();
}

static void eat(const void *data, size_t n)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++)
        eaten ^= p[i];
}

static sl_rc on_relation(void *self, sl_relation *rel, sl_error *err)
{
    (void)self, (void)err;
    eat(rel->schema, strlen(rel->schema));
    eat(rel->table, strlen(rel->table));
    for (int i = 0; i < rel->n_columns; i++)
        eat(rel->columns[i].name, strlen(rel->columns[i].name));
    return SL_OK;
}

static void eat_row(const sl_change *change, const uint32_t *off)
{
    for (int i = 0; off && i < change->rel->n_columns; i++) {
        const uint8_t *v = change->data + off[i];
        must(off[i] < change->len);
        must(strchr("nutb", sl_value_kind(v)) != NULL);
        eat(sl_value_data(v), sl_value_len(v));
        must(sl_value_same(v, v) == sl_value_sent(v));
    }
}

static sl_rc on_change(void *self, const sl_txn *txn, const sl_change *change, sl_error *err)
{
    const fuzzed *f = self;
    (void)err;
    must(f->kind->in_transaction(f->decoder));
    must(change->seq > 0 && txn->end_lsn == 0);
    must((change->old_kind != 0) == (change->old_off != NULL));
    eat(change->data, change->len);
    eat_row(change, change->old_off);
    eat_row(change, change->new_off);
    return SL_OK;
}

static sl_rc on_truncate(void *self, const sl_txn *txn, const sl_change *change, sl_error *err)
{
    (void)self, (void)txn, (void)err;
    must(change->n_rels > 0);
    for (int i = 0; i < change->n_rels; i++)
        eat(change->rels[i]->table, strlen(change->rels[i]->table));
    return SL_OK;
}

static sl_rc on_commit(void *self, const sl_txn *txn, sl_error *err)
{
    (void)self, (void)err;
    must(txn->end_lsn >= txn->commit_lsn);
    return SL_OK;
}

static sl_rc on_message(void *self, const char *prefix, sl_lsn lsn, bool transactional,
                        sl_error *err)
{
    (void)self, (void)lsn, (void)transactional, (void)err;
    eat(prefix, strlen(prefix));
    return SL_OK;
}

static inline int fuzz_decoder(const sl_decoder *kind, const sl_catalog *catalog,
                               const uint8_t *data, size_t size)
{
    fuzzed f = { .kind = kind };
    sl_sink sink = { .self = &f,
                     .relation = on_relation,
                     .change = on_change,
                     .truncate = on_truncate,
                     .commit = on_commit,
                     .message = on_message };
    f.decoder = kind->create(&sink, catalog);
    while (size >= 4) {
        size_t n = sl_get32(data);
        data += 4;
        size -= 4;
        if (n > size)
            n = size;
        /* A copy of its own, so that a read past the message's end is seen. */
        uint8_t *message = sl_xmalloc(n);
        memcpy(message, data, n);
        sl_error err = SL_ERROR_INIT;
        sl_rc rc = kind->decode(f.decoder, message, n, 0x1000, &err);
        must((rc == SL_OK) == (err.code == SL_OK));
        free(message);
        if (rc != SL_OK)
            break;
        data += n;
        size -= n;
    }
    kind->destroy(f.decoder);
    return 0;
}

#endif
