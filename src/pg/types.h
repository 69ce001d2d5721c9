/* types.h: what we know of PostgreSQL's types by OID. */
#ifndef SL_PG_TYPES_H
#define SL_PG_TYPES_H

#include <stdbool.h>
#include <stdint.h>

/* A type as a column uses it, read from the source's catalog. */
typedef struct sl_type {
    uint32_t oid;      /* pg_type.oid of the column */
    uint32_t base;     /* the same with domains resolved to their base type */
    uint32_t element;  /* of the base, if that is an array (typelem with typlen -1), else 0 */
    char kind;         /* pg_type.typtype of the base: b c d e m p r */
    char element_kind; /* of the element's base, or 0 */
    bool domain;
} sl_type;

/* Is the binary form of a value the same on every server of 10 to 18, so that bytes sent by one are
 * right for another? True for a whitelist of built-in scalars, their arrays and ranges, enums
 * (their binary form is the label), and domains over those. Proven by
 * tests/integration/test_types.py. */
bool sl_type_binary_proven(const sl_type *type);

/* The array type of a built-in scalar (int4 → _int4), 0 when there is none or the type is not
 * built in. */
uint32_t sl_type_array_of(uint32_t oid);

#define SL_OID_BOOL 16
#define SL_OID_BYTEA 17
#define SL_OID_CHAR 18
#define SL_OID_NAME 19
#define SL_OID_INT8 20
#define SL_OID_INT2 21
#define SL_OID_INT4 23
#define SL_OID_TEXT 25
#define SL_OID_OID 26
#define SL_OID_TEXT_ARRAY 1009
#define SL_OID_BPCHAR 1042 /* char(n) */
#define SL_OID_PG_LSN 3220
#define SL_FIRST_USER_OID 16384 /* OIDs from here on differ between servers */

#endif
