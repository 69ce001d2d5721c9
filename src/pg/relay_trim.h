/* relay_trim.h: rows on their way without the blanks that the destination puts back. Not installed
 * in any other module. */
#ifndef SL_PG_RELAY_TRIM_H
#define SL_PG_RELAY_TRIM_H

#include <stddef.h>
#include "pg/relay.h"

/* Writes the row src[0..len), the body of a CopyData in binary format, to dst without the blanks at
 * the end of the fields that trim names; returns its length. What is no row of trim->n_fields
 * fields is written as it is. dst may overlap src from below.
 *
 * Protocol: "Binary Format" under COPY in the PostgreSQL documentation: a 16-bit count of fields,
 * then for each a 32-bit length (-1: NULL) and its bytes. The first row has the signature before
 * it, the trailer is a count of -1: neither looks like a row. */
size_t sl_trim_row(const sl_relay_trim *trim, char *dst, const char *src, size_t len);

#endif
