/* access.h: secrets of users and programs. Internal to src/catalog. */
#ifndef SL_CATALOG_ACCESS_H
#define SL_CATALOG_ACCESS_H

#include "catalog/db.h"

/* prefix and 43 random characters into secret (SL_TOKEN_SIZE). */
void sl_access_new_secret(const char *prefix, char *secret);
/* A keyed hash, different for each use; into hash (SL_TOKEN_SIZE); returns hash. */
char *sl_access_hash(sl_catalog *c, const char *use, const char *secret, char *hash);

#endif
