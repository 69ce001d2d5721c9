/* text_form.h: the records as lines for people and for regression tests (option form 'text').
 *
 * It reads the very bytes that would go to the client, by PROTOCOL.md and nothing else, so a test
 * of this form tests the protocol. LSNs, times, transaction ids and OIDs of user-defined objects
 * differ from run to run and are left out. This file is a part of pgsluice_decoding.c. */
#ifndef PGSLUICE_TEXT_FORM_H
#define PGSLUICE_TEXT_FORM_H

/* What a description said about a table. */
typedef struct Described {
    uint32 number;
    int n_columns;
    uint8 *keys, *formats;
} Described;

static List *described; /* of the last session in this process */

typedef struct Cursor {
    const uint8 *p, *end;
} Cursor;

static const uint8 *take(Cursor *c, Size length)
{
    const uint8 *p = c->p;

    if ((Size)(c->end - c->p) < length)
        elog(ERROR, "pgsluice_decoding: a record ends too early");
    c->p += length;
    return p;
}

static uint64 take_int(Cursor *c, int bytes)
{
    const uint8 *p = take(c, bytes);
    uint64 value = 0;

    while (bytes-- > 0)
        value = value << 8 | *p++;
    return value;
}

static uint64 take_varint(Cursor *c)
{
    uint64 value = 0;
    int shift = 0;
    uint8 byte;

    do {
        byte = (uint8)take_int(c, 1);
        value |= (uint64)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80 && shift < 64);
    return value;
}

static const char *take_string(Cursor *c)
{
    const char *text = (const char *)c->p;

    take(c, strnlen(text, c->end - c->p) + 1);
    return text;
}

static void print_text(StringInfo line, const char *text, Size length)
{
    appendStringInfoChar(line, '\'');
    for (; length > 0; text++, length--) {
        if (*text == '\'')
            appendStringInfoChar(line, '\'');
        appendStringInfoChar(line, *text);
    }
    appendStringInfoChar(line, '\'');
}

static void print_hex(StringInfo line, const uint8 *data, Size length)
{
    appendStringInfoString(line, "\\x");
    for (; length > 0; data++, length--)
        appendStringInfo(line, "%02x", *data);
}

static void print_value(StringInfo line, Cursor *c, uint8 format)
{
    Size length = format == 't' || format == 'b' ? (Size)take_varint(c) : format;
    const uint8 *data = take(c, length);

    if (format == 't')
        print_text(line, (const char *)data, length);
    else
        print_hex(line, data, length);
}

static void print_row(StringInfo line, Cursor *c, const Described *d, bool keys_only)
{
    uint8 flags = (uint8)take_int(c, 1);
    const uint8 *maps[2] = { NULL, NULL };
    int n = 0, i, k = 0;

    for (i = 0; i < d->n_columns; i++)
        n += !keys_only || d->keys[i];
    for (i = 0; i < 2; i++)
        if (flags & (1 << i))
            maps[i] = take(c, (n + 7) / 8);
    for (i = 0; i < d->n_columns; i++) {
        if (keys_only && !d->keys[i])
            continue;
        appendStringInfoString(line, k > 0 ? ", " : " ");
        if (maps[0] && maps[0][k / 8] & (1 << (k % 8)))
            appendStringInfoString(line, "null");
        else if (maps[1] && maps[1][k / 8] & (1 << (k % 8)))
            appendStringInfoString(line, "unchanged");
        else
            print_value(line, c, d->formats[i]);
        k++;
    }
}

static void print_oid(StringInfo line, uint32 oid)
{
    if (oid < FirstNormalObjectId)
        appendStringInfo(line, "%u", oid);
    else
        appendStringInfoString(line, "user");
}

static void print_table(Session *s, StringInfo line, Cursor *c)
{
    MemoryContext before = MemoryContextSwitchTo(s->context);
    Described *d = palloc0(sizeof(Described));
    int i, kind, identity;
    const char *schema;

    d->number = (uint32)take_varint(c);
    take(c, 4);
    kind = (int)take_int(c, 1);
    identity = (int)take_int(c, 1);
    schema = take_string(c);
    appendStringInfo(line, "table %u %s.%s kind %c identity %c:", d->number, schema, take_string(c),
                     kind, identity);
    d->n_columns = (int)take_int(c, 2);
    d->keys = palloc(d->n_columns + 1);
    d->formats = palloc(d->n_columns + 1);
    for (i = 0; i < d->n_columns; i++) {
        uint32 type;
        int32 typmod;

        d->keys[i] = (uint8)take_int(c, 1);
        d->formats[i] = (uint8)take_int(c, 1);
        type = (uint32)take_int(c, 4);
        typmod = (int32)take_int(c, 4);
        appendStringInfo(line, "%s %s%s ", i > 0 ? "," : "", take_string(c), d->keys[i] ? "*" : "");
        print_oid(line, type);
        if (typmod != -1)
            appendStringInfo(line, "(%d)", typmod);
        if (d->formats[i] == 't' || d->formats[i] == 'b')
            appendStringInfo(line, " %c", d->formats[i]);
        else
            appendStringInfo(line, " %d", d->formats[i]);
    }
    described = lcons(d, described);
    MemoryContextSwitchTo(before);
}

static const Described *take_table(Cursor *c)
{
    uint32 number = (uint32)take_varint(c);
    ListCell *cell;

    foreach (cell, described)
        if (((Described *)lfirst(cell))->number == number)
            return lfirst(cell);
    elog(ERROR, "pgsluice_decoding: table %u was not described", number);
    return NULL;
}

static void print_change(StringInfo line, Cursor *c, char kind)
{
    const Described *d = take_table(c);
    bool keys_only = kind == 'K' || kind == 'D';

    appendStringInfo(line, "%s %u:",
                     kind == 'I'           ? "INSERT"
                     : strchr("UKF", kind) ? "UPDATE"
                                           : "DELETE",
                     d->number);
    if (strchr("KFDE", kind)) {
        appendStringInfoString(line, keys_only ? " key:" : " old:");
        print_row(line, c, d, keys_only);
    }
    if (strchr("UKF", kind))
        appendStringInfoString(line, " new:");
    if (strchr("IUKF", kind))
        print_row(line, c, d, false);
}

static void print_type(StringInfo line, Cursor *c)
{
    uint32 oid = (uint32)take_int(c, 4), base = (uint32)take_int(c, 4);
    int kind = (int)take_int(c, 1);
    const char *schema = take_string(c);

    appendStringInfo(line, "type %s.%s %c", schema, take_string(c), kind);
    if (base != oid) {
        appendStringInfoString(line, " over ");
        print_oid(line, base);
    }
}

static void print_truncate(StringInfo line, Cursor *c)
{
    int flags = (int)take_int(c, 1), n = (int)take_varint(c), i;

    appendStringInfo(line, "TRUNCATE%s%s:", flags & 1 ? " cascade" : "",
                     flags & 2 ? " restart identity" : "");
    for (i = 0; i < n; i++)
        appendStringInfo(line, " %u", take_table(c)->number);
}

static void print_message(StringInfo line, Cursor *c)
{
    int flags = (int)take_int(c, 1);
    Size length;

    take(c, 8);
    appendStringInfo(line, "MESSAGE%s ", flags & 1 ? " transactional" : "");
    appendStringInfo(line, "%s: ", take_string(c));
    length = (Size)take_varint(c);
    print_text(line, (const char *)take(c, length), length);
}

static void print_begin(StringInfo line, Cursor *c)
{
    int flags = (int)take_int(c, 1);

    take(c, 4 + 8 + 8);
    appendStringInfoString(line, "BEGIN");
    if (flags & 1) {
        take(c, 8);
        appendStringInfo(line, " origin %s", take_string(c));
    }
}

static void print_commit(StringInfo line, Cursor *c)
{
    take(c, 8);
    take_varint(c);
    appendStringInfo(line, "COMMIT of %u", (uint32)take_varint(c));
}

static void print_start(StringInfo line, Cursor *c)
{
    const char *magic = (const char *)take(c, 4);
    int protocol = (int)take_int(c, 1);

    take(c, 4);
    appendStringInfo(line, "%.4s protocol %d%s", magic, protocol,
                     take_int(c, 1) & 1 ? " binary" : "");
    appendStringInfo(line, " %s", take_string(c));
    take_string(c);
    described = NIL;
}

static void print_record(Session *s, StringInfo line, Cursor *c)
{
    char kind = (char)take_int(c, 1);

    switch (kind) {
    case 'S':
        print_start(line, c);
        break;
    case 'B':
        print_begin(line, c);
        break;
    case 'C':
        print_commit(line, c);
        break;
    case 'Y':
        print_type(line, c);
        break;
    case 'R':
        print_table(s, line, c);
        break;
    case 'T':
        print_truncate(line, c);
        break;
    case 'M':
        print_message(line, c);
        break;
    case 'P':
        appendStringInfoString(line, "PROGRESS");
        break;
    default:
        print_change(line, c, kind);
    }
}

/* Writes a line per record. */
static void text_form_write(LogicalDecodingContext *ctx, const char *data, int length)
{
    Cursor c;

    c.p = (const uint8 *)data;
    c.end = c.p + length;
    while (c.p < c.end) {
        OutputPluginPrepareWrite(ctx, c.p == c.end);
        print_record(ctx->output_plugin_private, ctx->out, &c);
        OutputPluginWrite(ctx, c.p == c.end);
    }
}

#endif
