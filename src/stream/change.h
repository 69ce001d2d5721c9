/* change.h: what a decoder hands on: relations, transactions, row changes.
 *
 * A change keeps the values as the source sent them: `data` is the plugin's message, and an offset
 * per column says where the value starts in it, so a change is copied with one memcpy and its
 * values again with one each. At its offset a value is one of
 *  - 'n': NULL
 *  - 'u': an unchanged TOASTed value, not sent
 *  - 't', length(4), bytes: text in the client's encoding, not terminated
 *  - 'b', length(4), bytes: the type's binary form
 * which are the bytes of pgoutput's TupleData ("Logical Replication Message Formats" in the
 * PostgreSQL documentation). Length and bytes together are also what a binary array element and a
 * field of binary COPY look like. */
#ifndef SL_STREAM_CHANGE_H
#define SL_STREAM_CHANGE_H

#include "pg/pg.h"

#define SL_MAX_COLUMNS 1664 /* PostgreSQL's MaxTupleAttributeNumber */

typedef struct sl_txn {
    uint32_t xid;
    sl_lsn commit_lsn; /* of the commit record; known from begin on */
    sl_lsn end_lsn;    /* after the commit record; 0 until commit */
    int64_t commit_us; /* the source's clock, Unix microseconds */
} sl_txn;

typedef struct sl_rel_column {
    const char *name;
    uint32_t type; /* pg_type.oid on the source */
    int32_t typmod;
    bool key;  /* part of the replica identity */
    bool text; /* its values are text, even if the stream's are binary */
} sl_rel_column;

/* One version of a relation as the source describes it: immutable, and lives as long as its
 * decoder. The last two members belong to the reader's and to the applier's thread. */
typedef struct sl_relation {
    uint32_t oid;
    const char *schema, *table;
    char identity; /* pg_class.relreplident */
    uint16_t n_columns;
    sl_rel_column *columns;
    const uint8_t *raw; /* the message that described it */
    size_t raw_len;
    bool resolved;
    const struct sl_route *route; /* NULL: not selected */
    struct sl_bound *bound;
} sl_relation;

typedef enum sl_change_op {
    SL_CHANGE_INSERT,
    SL_CHANGE_UPDATE,
    SL_CHANGE_DELETE,
    SL_CHANGE_TRUNCATE,
    SL_CHANGE_OPS
} sl_change_op;
const char *sl_change_op_name(sl_change_op op);

/* PARTIAL is the reader's: one of the tables is left out, for its copy was made later. */
enum { SL_TRUNCATE_CASCADE = 1, SL_TRUNCATE_RESTART = 2, SL_TRUNCATE_PARTIAL = 4 };

typedef struct sl_change {
    const sl_relation *rel;            /* TRUNCATE: the first one */
    const uint8_t *data;               /* the message */
    const uint32_t *old_off, *new_off; /* per column of rel; NULL when that row was not sent */
    const sl_relation *const *rels;    /* TRUNCATE: all of them */
    uint32_t len;                      /* of data */
    uint32_t seq;                      /* in its transaction, from 1, counting every change sent */
    uint32_t txn;                      /* index of its transaction in the batch that holds it */
    uint16_t n_rels;
    uint8_t op;      /* sl_change_op */
    uint8_t options; /* SL_TRUNCATE_* */
    char old_kind;   /* 0, 'K' key columns only (others are NULL), 'O' the whole old row */
    bool unchanged;  /* the new row has a value that was not sent */
    bool gone;  /* `maybe`, and the new row is not whole, for its row is gone from the source: it
                   changes what is there and puts nothing there */
    bool maybe; /* of a table with a condition: whether the destination has the old row is not
                   known; the new row is whole then (filter.h) */
} sl_change;

/* A decoder hands on through these calls; what they point to (relations excepted) lives until the
 * call returns. Any member may be NULL. An rc other than SL_OK ends the decoding of that message
 * with it. */
typedef struct sl_sink {
    void *self;
    sl_rc (*begin)(void *self, const sl_txn *txn, sl_error *err);
    sl_rc (*relation)(void *self, sl_relation *rel, sl_error *err);
    sl_rc (*change)(void *self, const sl_txn *txn, const sl_change *change, sl_error *err);
    sl_rc (*truncate)(void *self, const sl_txn *txn, const sl_change *change, sl_error *err);
    sl_rc (*commit)(void *self, const sl_txn *txn, sl_error *err);
    sl_rc (*message)(void *self, const char *prefix, sl_lsn lsn, bool transactional, sl_error *err);
} sl_sink;

/* A value at its offset. */
static inline char sl_value_kind(const uint8_t *v)
{
    return (char)v[0];
}
static inline bool sl_value_sent(const uint8_t *v)
{
    return v[0] != 'u';
}
static inline bool sl_value_null(const uint8_t *v)
{
    return v[0] == 'n';
}
static inline uint32_t sl_value_len(const uint8_t *v)
{
    return v[0] == 't' || v[0] == 'b' ? sl_get32(v + 1) : 0;
}
static inline const uint8_t *sl_value_data(const uint8_t *v)
{
    return v + 5;
}
/* Equal as bytes: both NULL, or the same kind, length and bytes. */
static inline bool sl_value_same(const uint8_t *a, const uint8_t *b)
{
    if (a[0] != b[0])
        return false;
    if (a[0] == 'n')
        return true;
    if (a[0] == 'u')
        return false;
    uint32_t len = sl_get32(a + 1);
    return len == sl_get32(b + 1) && __builtin_memcmp(a + 5, b + 5, len) == 0;
}

#endif
