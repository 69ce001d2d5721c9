/* versions.h: what each PostgreSQL version can do, in one place (numbers as PQserverVersion gives
 * them). Sources: release notes and the server sources named in docs/versions. */
#ifndef SL_PG_VERSIONS_H
#define SL_PG_VERSIONS_H

#define SL_PG_9_4 90400
#define SL_PG_9_5 90500
#define SL_PG_9_6 90600
#define SL_PG_10 100000
#define SL_PG_11 110000
#define SL_PG_12 120000
#define SL_PG_13 130000
#define SL_PG_14 140000
#define SL_PG_15 150000
#define SL_PG_16 160000
#define SL_PG_17 170000
#define SL_PG_18 180000
#define SL_PG_OLDEST SL_PG_9_4 /* the first with logical decoding, JSON values, jsonb */
#define SL_PG_NEWEST 189999

/* "15.20", "9.6.24": buf of at least 16 bytes; returns buf. */
char *sl_version_text(int version, char *buf);

/* An SQL expression: up to where WAL is written (on a standby: replayed). 10 renamed the functions.
 */
const char *sl_position_sql(int version);

/* In an INSERT between the columns and what follows: lets values into columns that are GENERATED
 * ALWAYS AS IDENTITY, which 10 has first. With a blank behind it, or empty. */
const char *sl_overriding_sql(int version);

#endif
