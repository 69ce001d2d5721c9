/* pgsluice_decoding.c: a logical decoding output plugin for PostgreSQL 9.4 to 18.
 *
 * What it writes is described byte by byte in PROTOCOL.md. How: each callback appends records to a
 * buffer; the buffer goes out as one message when a transaction ends or when it is large. So most
 * transactions are one message, and a row costs neither a message header nor a system call.
 *
 * A relation's names, columns and encoders are looked up once and kept until the server invalidates
 * them; a row then touches no catalog. The invalidation callbacks only raise counters in fixed
 * arrays: they cannot be taken back, and so they must not know of anything that ends with the
 * session.
 *
 * All of it is one translation unit of static functions, because some servers load libraries with
 * their symbols visible to each other: the .h files next to this one are its chapters.
 *
 * Invariants:
 *  1. The buffer holds whole records only, and is empty between transactions.
 *  2. BEGIN precedes the first record of a transaction that has any; a transaction without is not
 *     sent.
 *  3. A relation's description precedes the first change of it, and is sent again only if it
 *     differs.
 *
 * It sends no transactions in progress, no PREPARE (a prepared transaction is sent at its COMMIT
 * PREPARED), and it filters no rows. */
#include "compat.h"

#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "selection.h"

#define PLUGIN_VERSION "1.0"
#define PROTOCOL_MIN 1
#define PROTOCOL_MAX 1

#define MESSAGE_BYTES_DEFAULT 16384
#define MESSAGE_BYTES_LIMIT (16 * 1024 * 1024)
#define PROGRESS_CHANGES 100         /* skipped changes between two signs of life */
#define PROGRESS_RECORD_CHANGES 5000 /* the same where a sign of life is a message of ours */

#ifdef PG_MODULE_MAGIC_EXT
PG_MODULE_MAGIC_EXT(.name = "pgsluice_decoding", .version = PLUGIN_VERSION);
#else
PG_MODULE_MAGIC;
#endif

extern PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks *cb);

/* How a value gets into a row. */
typedef enum Encoder {
    ENCODE_1, /* by-value integers and what is stored like them */
    ENCODE_2,
    ENCODE_4,
    ENCODE_8,
    ENCODE_FLOAT4,
    ENCODE_FLOAT8,
    ENCODE_UUID,  /* 16 bytes as stored */
    ENCODE_TEXT,  /* a varlena's bytes, which are text */
    ENCODE_BYTES, /* a varlena's bytes as they are */
    ENCODE_SEND,  /* the type's binary output function */
    ENCODE_OUTPUT /* the type's text output function */
} Encoder;

typedef struct Column {
    int index; /* in the tuple descriptor */
    Encoder encoder;
    uint8 format; /* in the description: 't', 'b', or a fixed width in bytes */
    bool varlena;
    bool key;
    FmgrInfo function; /* of ENCODE_SEND and ENCODE_OUTPUT */
} Column;

typedef struct Table {
    Oid oid; /* hash key */
    bool filled, wanted;
    bool sent; /* is the description with the client? */
    bool full; /* the old row is the whole row */
    uint64 seen;
    uint32 number; /* the client's name for it */
    int n_columns, n_keys;
    Column *columns, *keys;
    int n_types;
    uint32 *types;         /* hash values of the user-defined types behind its columns */
    MemoryContext context; /* of everything but the description */
    char *description;     /* records of its types, then the RELATION record's body */
    int description_length, types_length;
} Table;

typedef struct Session {
    MemoryContext context, scratch;
    StringInfoData out; /* records that were not written yet */
    HTAB *tables;
    Table *last; /* the table of the change before */
    uint32 last_number;

    bool text_form, binary, local_only, convert;
    bool has_tables; /* not all tables are wanted */
    List *oids;
    List *only_tables, *except_tables, *only_columns, *except_columns, *prefixes;
    int message_bytes;
    int client_min, client_max;

    bool begun;     /* BEGIN of the current transaction is written */
    uint32 changes; /* of the current transaction */
    uint32 skipped; /* changes since the last sign of life */

    Datum values[MaxTupleAttributeNumber];
    bool nulls[MaxTupleAttributeNumber];
} Session;

#include "buffer.h"
#include "tables.h"
#include "text_form.h"

static void flush(LogicalDecodingContext *ctx)
{
    Session *s = ctx->output_plugin_private;

    if (s->out.len == 0)
        return;
    if (s->text_form)
        text_form_write(ctx, s->out.data, s->out.len);
    else {
        OutputPluginPrepareWrite(ctx, true);
        appendBinaryStringInfo(ctx->out, s->out.data, s->out.len);
        OutputPluginWrite(ctx, true);
    }
    resetStringInfo(&s->out);
    s->skipped = 0;
}

/* ---- options ---- */

static bool option_bool(const char *name, const char *value)
{
    bool result;

    if (!parse_bool(value, &result))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("pgsluice_decoding: option \"%s\" is a boolean, not \"%s\"", name, value)));
    return result;
}

static int option_int(const char *name, const char *value, int low, int high)
{
    char *end;
    long result;

    errno = 0;
    result = strtol(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || result < low || result > high)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("pgsluice_decoding: option \"%s\" is a number from %d to %d, not \"%s\"",
                        name, low, high, value)));
    return (int)result;
}

/* One of two words; true if it is the first. */
static bool option_word(const char *name, const char *value, const char *first, const char *second)
{
    if (strcmp(value, first) != 0 && strcmp(value, second) != 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("pgsluice_decoding: option \"%s\" is \"%s\" or \"%s\", not \"%s\"",
                               name, first, second, value)));
    return strcmp(value, first) == 0;
}

static void set_option(Session *s, const char *name, const char *value)
{
    if (strcmp(name, "min_proto_version") == 0)
        s->client_min = option_int(name, value, 1, INT_MAX);
    else if (strcmp(name, "max_proto_version") == 0)
        s->client_max = option_int(name, value, 1, INT_MAX);
    else if (strcmp(name, "form") == 0)
        s->text_form = option_word(name, value, "text", "binary");
    else if (strcmp(name, "binary") == 0)
        s->binary = option_bool(name, value);
    else if (strcmp(name, "origin") == 0)
        s->local_only = option_word(name, value, "none", "any");
    else if (strcmp(name, "message_bytes") == 0)
        s->message_bytes = option_int(name, value, 0, MESSAGE_BYTES_LIMIT);
    else if (strcmp(name, "oids") == 0) {
        s->oids = list_concat(s->oids, read_oids(name, value));
        s->has_tables = true;
    } else if (strcmp(name, "tables") == 0) {
        s->only_tables = list_concat(s->only_tables, read_selection(name, value, SELECT_TABLES));
        s->has_tables = true;
    } else if (strcmp(name, "exclude_tables") == 0)
        s->except_tables =
            list_concat(s->except_tables, read_selection(name, value, SELECT_TABLES));
    else if (strcmp(name, "columns") == 0)
        s->only_columns = list_concat(s->only_columns, read_selection(name, value, SELECT_COLUMNS));
    else if (strcmp(name, "exclude_columns") == 0)
        s->except_columns =
            list_concat(s->except_columns, read_selection(name, value, SELECT_COLUMNS));
    else if (strcmp(name, "messages") == 0)
        s->prefixes = list_concat(s->prefixes, read_selection(name, value, SELECT_PREFIXES));
    else
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("pgsluice_decoding: there is no option \"%s\"", name),
                        errhint("This is pgsluice_decoding %s; its options are in PROTOCOL.md.",
                                PLUGIN_VERSION)));
}

static int negotiate(const Session *s)
{
    if (s->client_min == 0 || s->client_max == 0)
        ereport(
            ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("pgsluice_decoding: the client did not say which protocol versions it knows"),
             errhint("Give the options \"min_proto_version\" and \"max_proto_version\"; this is "
                     "pgsluice_decoding %s, which knows %d to %d.",
                     PLUGIN_VERSION, PROTOCOL_MIN, PROTOCOL_MAX)));
    if (s->client_max < PROTOCOL_MIN || s->client_min > PROTOCOL_MAX ||
        s->client_min > s->client_max)
        ereport(
            ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("pgsluice_decoding: the client knows protocol versions %d to %d, the plugin "
                    "knows %d to %d",
                    s->client_min, s->client_max, PROTOCOL_MIN, PROTOCOL_MAX),
             errhint("This is pgsluice_decoding %s: install the one that came with the client on "
                     "this server, or use a client that knows it.",
                     PLUGIN_VERSION)));
    return Min(s->client_max, PROTOCOL_MAX);
}

static void read_options(Session *s, List *options)
{
    ListCell *cell;

    foreach (cell, options) {
        DefElem *option = lfirst(cell);

        if (option->arg == NULL)
            ereport(ERROR,
                    (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                     errmsg("pgsluice_decoding: option \"%s\" needs a value", option->defname)));
        set_option(s, option->defname, strVal(option->arg));
    }
#if PG_VERSION_NUM < 90500
    if (s->local_only)
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("pgsluice_decoding: option \"origin\" needs PostgreSQL 9.5 or newer"),
                 errdetail("This server does not know where a change comes from.")));
#endif
}

static void put_startup(Session *s, int protocol)
{
    put8(&s->out, 'S');
    put_bytes(&s->out, "PGSL", 4);
    put8(&s->out, (uint8)protocol);
    put32(&s->out, PG_VERSION_NUM);
    put8(&s->out, s->binary ? 1 : 0);
    put_string(s, &s->out, pg_get_client_encoding_name());
    put_string(s, &s->out, PLUGIN_VERSION);
}

static void on_startup(LogicalDecodingContext *ctx, OutputPluginOptions *options, bool is_init)
{
    MemoryContext before = MemoryContextSwitchTo(ctx->context);
    Session *s = palloc0(sizeof(Session));

    s->context = ctx->context;
    s->scratch =
        AllocSetContextCreate(ctx->context, "pgsluice_decoding row", ALLOCSET_DEFAULT_SIZES);
    s->binary = true;
    s->message_bytes = MESSAGE_BYTES_DEFAULT;
    s->convert = pg_get_client_encoding() != GetDatabaseEncoding();
    initStringInfo(&s->out);
    ctx->output_plugin_private = s;
    if (!is_init) /* a slot that is being created is asked for nothing yet */
    {
        read_options(s, ctx->output_plugin_options);
        if (s->text_form)
            s->convert = false; /* the server does it */
        put_startup(s, negotiate(s));
        s->tables = compat_oid_hash("pgsluice_decoding tables", sizeof(Table), ctx->context);
        register_callbacks();
    }
    options->output_type =
        s->text_form ? OUTPUT_PLUGIN_TEXTUAL_OUTPUT : OUTPUT_PLUGIN_BINARY_OUTPUT;
    MemoryContextSwitchTo(before);
}

/* ---- transactions ---- */

static void on_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
    Session *s = ctx->output_plugin_private;

    s->begun = false;
    s->changes = 0;
}

#if PG_VERSION_NUM >= 90500
static void put_origin(Session *s, ReorderBufferTXN *txn)
{
    char *name;

    if (!replorigin_by_oid(txn->origin_id, true, &name))
        name = ""; /* dropped since */
    put64(&s->out, txn->origin_lsn);
    put_string(s, &s->out, name);
}
#endif

static void begin_if_needed(Session *s, ReorderBufferTXN *txn)
{
    bool origin = false;

    if (s->begun)
        return;
    s->begun = true;
#if PG_VERSION_NUM >= 90500
    origin = txn->origin_id != InvalidRepOriginId;
#endif
    put8(&s->out, 'B');
    put8(&s->out, origin ? 1 : 0);
    put32(&s->out, txn->xid);
    put64(&s->out, txn->final_lsn);
    put64(&s->out, (uint64)compat_commit_time(txn));
#if PG_VERSION_NUM >= 90500
    if (origin)
        put_origin(s, txn);
#endif
}

static void on_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
    Session *s = ctx->output_plugin_private;

    (void)compat_update_progress(ctx, !s->begun);
    if (!s->begun)
        return;
    put8(&s->out, 'C');
    put64(&s->out, txn->end_lsn);
    put_varint(&s->out, txn->end_lsn - commit_lsn);
    put_varint(&s->out, s->changes);
    flush(ctx);
    s->begun = false;
}

/* Nothing is sent for this change: the client must not take the silence for a lost connection. */
static void skip_change(LogicalDecodingContext *ctx)
{
    Session *s = ctx->output_plugin_private;

    if (++s->skipped % PROGRESS_CHANGES != 0 || compat_update_progress(ctx, false))
        return;
    if (s->skipped % PROGRESS_RECORD_CHANGES == 0) {
        put8(&s->out, 'P');
        flush(ctx);
    }
}

/* ---- rows ---- */

static void put_varlena(Session *s, StringInfo out, Datum value, bool is_text)
{
    struct varlena *data = PG_DETOAST_DATUM_PACKED(value);

    if (is_text)
        put_text(s, out, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
    else {
        put_varint(out, VARSIZE_ANY_EXHDR(data));
        put_bytes(out, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
    }
}

static void put_sent(StringInfo out, FmgrInfo *function, Datum value)
{
    bytea *data = SendFunctionCall(function, value);

    put_varint(out, VARSIZE(data) - VARHDRSZ);
    put_bytes(out, VARDATA(data), VARSIZE(data) - VARHDRSZ);
}

static void put_float(StringInfo out, const Column *column, Datum value)
{
    union {
        float4 f4;
        uint32 i4;
        float8 f8;
        uint64 i8;
    } bits;

    if (column->encoder == ENCODE_FLOAT4) {
        bits.f4 = DatumGetFloat4(value);
        put32(out, bits.i4);
    } else {
        bits.f8 = DatumGetFloat8(value);
        put64(out, bits.i8);
    }
}

static void put_value(Session *s, StringInfo out, Column *column, Datum value)
{
    switch (column->encoder) {
    case ENCODE_1:
        put8(out, DatumGetUInt8(value));
        break;
    case ENCODE_2:
        put16(out, DatumGetUInt16(value));
        break;
    case ENCODE_4:
        put32(out, DatumGetUInt32(value));
        break;
    case ENCODE_8:
        put64(out, (uint64)DatumGetInt64(value));
        break;
    case ENCODE_FLOAT4:
    case ENCODE_FLOAT8:
        put_float(out, column, value);
        break;
    case ENCODE_UUID:
        put_bytes(out, DatumGetPointer(value), 16);
        break;
    case ENCODE_TEXT:
        put_varlena(s, out, value, true);
        break;
    case ENCODE_BYTES:
        put_varlena(s, out, value, false);
        break;
    case ENCODE_SEND:
        put_sent(out, &column->function, value);
        break;
    case ENCODE_OUTPUT: {
        char *text = OutputFunctionCall(&column->function, value);

        put_text(s, out, text, strlen(text));
        break;
    }
    }
}

static inline bool not_sent(const Session *s, const Column *column)
{
    return column->varlena && !s->nulls[column->index] &&
           VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(s->values[column->index]));
}

/* The bitmaps of a row: which values are NULL, which were not sent. Each only if it has a bit set.
 */
static void put_bitmaps(const Session *s, StringInfo out, const Column *columns, int n)
{
    int bytes = (n + 7) / 8, i;
    uint8 maps[2][(MaxTupleAttributeNumber + 7) / 8];
    uint8 flags = 0;

    memset(maps[0], 0, bytes);
    memset(maps[1], 0, bytes);
    for (i = 0; i < n; i++) {
        bool null = s->nulls[columns[i].index];

        if (!null && !not_sent(s, &columns[i]))
            continue;
        maps[null ? 0 : 1][i / 8] |= 1 << (i % 8);
        flags |= null ? 1 : 2;
    }
    put8(out, flags);
    if (flags & 1)
        put_bytes(out, (char *)maps[0], bytes);
    if (flags & 2)
        put_bytes(out, (char *)maps[1], bytes);
}

static void put_row(Session *s, Relation relation, HeapTuple tuple, Column *columns, int n)
{
    int i;

    heap_deform_tuple(tuple, RelationGetDescr(relation), s->values, s->nulls);
    put_bitmaps(s, &s->out, columns, n);
    for (i = 0; i < n; i++)
        if (!s->nulls[columns[i].index] && !not_sent(s, &columns[i]))
            put_value(s, &s->out, &columns[i], s->values[columns[i].index]);
}

static void begin_change(Session *s, ReorderBufferTXN *txn, Table *table)
{
    begin_if_needed(s, txn);
    if (table->sent)
        return;
    put_bytes(&s->out, table->description, table->types_length);
    put8(&s->out, 'R');
    put_varint(&s->out, table->number);
    put_bytes(&s->out, table->description + table->types_length,
              table->description_length - table->types_length);
    table->sent = true;
}

static void put_old(Session *s, Table *table, Relation relation, HeapTuple tuple)
{
    if (table->full)
        put_row(s, relation, tuple, table->columns, table->n_columns);
    else
        put_row(s, relation, tuple, table->keys, table->n_keys);
}

static void put_change(Session *s, Table *table, Relation relation, char kind, HeapTuple old,
                       HeapTuple new)
{
    put8(&s->out, (uint8)kind);
    put_varint(&s->out, table->number);
    if (old)
        put_old(s, table, relation, old);
    if (new)
        put_row(s, relation, new, table->columns, table->n_columns);
    s->changes++;
}

/* The record for a change; 0 when there is nothing to tell: a DELETE of a table without identity.
 */
static char change_kind(const Table *table, int action, HeapTuple old, HeapTuple new)
{
    bool usable = old && (table->full || table->n_keys > 0);

    switch (action) {
    case REORDER_BUFFER_CHANGE_INSERT:
        return new ? 'I' : 0;
    case REORDER_BUFFER_CHANGE_UPDATE:
        if (!new)
            return 0;
        return !usable ? 'U' : table->full ? 'F' : 'K';
    case REORDER_BUFFER_CHANGE_DELETE:
        return !usable ? 0 : table->full ? 'E' : 'D';
    default:
        elog(ERROR, "pgsluice_decoding: unexpected change %d", action);
        return 0;
    }
}

static void on_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation relation,
                      ReorderBufferChange *change)
{
    Session *s = ctx->output_plugin_private;
    MemoryContext before = MemoryContextSwitchTo(s->scratch);
    Table *table = find_table(s, relation);
    HeapTuple old =
        change->action == REORDER_BUFFER_CHANGE_INSERT ? NULL : compat_old_tuple(change);
    HeapTuple new =
        change->action == REORDER_BUFFER_CHANGE_DELETE ? NULL : compat_new_tuple(change);
    char kind = table->wanted ? change_kind(table, change->action, old, new) : 0;

    CHECK_FOR_INTERRUPTS();
    if (kind) {
        begin_change(s, txn, table);
        put_change(s, table, relation, kind, strchr("FKED", kind) ? old : NULL, new);
    }
    MemoryContextSwitchTo(before);
    MemoryContextReset(s->scratch);
    if (!kind)
        skip_change(ctx);
    else if (s->out.len >= s->message_bytes)
        flush(ctx);
}

#if PG_VERSION_NUM >= 110000
static void on_truncate(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, int n,
                        Relation relations[], ReorderBufferChange *change)
{
    Session *s = ctx->output_plugin_private;
    MemoryContext before = MemoryContextSwitchTo(s->scratch);
    uint32 *numbers = palloc(sizeof(uint32) * n);
    int i, wanted = 0;

    for (i = 0; i < n; i++) {
        Table *table = find_table(s, relations[i]);

        if (!table->wanted)
            continue;
        begin_change(s, txn, table);
        numbers[wanted++] = table->number;
    }
    if (wanted > 0) {
        put8(&s->out, 'T');
        put8(&s->out, (change->data.truncate.cascade ? 1 : 0) |
                          (change->data.truncate.restart_seqs ? 2 : 0));
        put_varint(&s->out, wanted);
        for (i = 0; i < wanted; i++)
            put_varint(&s->out, numbers[i]);
        s->changes++;
    }
    MemoryContextSwitchTo(before);
    MemoryContextReset(s->scratch);
    if (s->out.len >= s->message_bytes)
        flush(ctx);
}
#endif

#if PG_VERSION_NUM >= 90600
static void on_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr lsn,
                       bool transactional, const char *prefix, Size size, const char *content)
{
    Session *s = ctx->output_plugin_private;
    MemoryContext before;

    if (!prefix_selected(s->prefixes, prefix))
        return;
    before = MemoryContextSwitchTo(s->scratch);
    if (transactional)
        begin_if_needed(s, txn);
    put8(&s->out, 'M');
    put8(&s->out, transactional ? 1 : 0);
    put64(&s->out, lsn);
    put_string(s, &s->out, prefix);
    put_varint(&s->out, size);
    put_bytes(&s->out, content, size);
    MemoryContextSwitchTo(before);
    MemoryContextReset(s->scratch);
    if (!transactional || s->out.len >= s->message_bytes)
        flush(ctx);
}
#endif

#if PG_VERSION_NUM >= 90500
static bool on_filter_origin(LogicalDecodingContext *ctx, RepOriginId origin)
{
    Session *s = ctx->output_plugin_private;

    return s->local_only && origin != InvalidRepOriginId;
}
#endif

void _PG_output_plugin_init(OutputPluginCallbacks *cb)
{
    cb->startup_cb = on_startup;
    cb->begin_cb = on_begin;
    cb->change_cb = on_change;
    cb->commit_cb = on_commit;
#if PG_VERSION_NUM >= 90500
    cb->filter_by_origin_cb = on_filter_origin;
#endif
#if PG_VERSION_NUM >= 90600
    cb->message_cb = on_message;
#endif
#if PG_VERSION_NUM >= 110000
    cb->truncate_cb = on_truncate;
#endif
}
