/* buffer.h: the elements of records: numbers in network order, variable-length numbers, strings.
 * This file is a part of pgsluice_decoding.c. */
#ifndef PGSLUICE_BUFFER_H
#define PGSLUICE_BUFFER_H

static inline char *room(StringInfo out, int length)
{
    char *p;

    if (out->len + length >= out->maxlen)
        enlargeStringInfo(out, length);
    p = out->data + out->len;
    out->len += length;
    return p;
}

static inline void put8(StringInfo out, uint8 value)
{
    *room(out, 1) = (char)value;
}

static inline void put16(StringInfo out, uint16 value)
{
    char *p = room(out, 2);

    p[0] = (char)(value >> 8);
    p[1] = (char)value;
}

static inline void put32(StringInfo out, uint32 value)
{
    uint8 *p = (uint8 *)room(out, 4);

    p[0] = (uint8)(value >> 24);
    p[1] = (uint8)(value >> 16);
    p[2] = (uint8)(value >> 8);
    p[3] = (uint8)value;
}

static inline void put64(StringInfo out, uint64 value)
{
    put32(out, (uint32)(value >> 32));
    put32(out, (uint32)value);
}

static inline void put_varint(StringInfo out, uint64 value)
{
    while (value >= 0x80) {
        put8(out, (uint8)value | 0x80);
        value >>= 7;
    }
    put8(out, (uint8)value);
}

static inline void put_bytes(StringInfo out, const char *data, Size length)
{
    memcpy(room(out, (int)length), data, length);
}

/* A string of the server, with its end, in the client's encoding. */
static void put_string(const Session *s, StringInfo out, const char *text)
{
    const char *converted = s->convert ? pg_server_to_client(text, (int)strlen(text)) : text;

    put_bytes(out, converted, strlen(converted) + 1);
}

static void put_text(const Session *s, StringInfo out, const char *text, Size length)
{
    char *converted = (char *)text;

    if (s->convert && length > 0) {
        converted = pg_server_to_client(text, (int)length);
        if (converted != text)
            length = strlen(converted);
    }
    put_varint(out, length);
    put_bytes(out, converted, length);
}

#endif
