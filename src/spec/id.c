/* id.c: a task's id, when the specification does not give one.
 *
 * SHA-256 over the five parts, each preceded by its length so that no two lists of parts give the
 * same bytes; the first 50 bits as ten characters of a-z and 2-7. Changing this loses every task's
 * slot and state: it never changes. */
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "spec/spec.h"

char *sl_task_id(const sl_spec *spec, const char *source_system_id, const char *source_database,
                 const char *destination_system_id, const char *destination_database, char *buf)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    const char *parts[] = { spec->name, source_system_id, source_database, destination_system_id,
                            destination_database };
    if (spec->id) {
        snprintf(buf, 17, "%s", spec->id);
        return buf;
    }
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; ok && i < sizeof(parts) / sizeof(parts[0]); i++) {
        char length[24];
        int n = snprintf(length, sizeof(length), "%zu:", strlen(parts[i]));
        ok = EVP_DigestUpdate(ctx, length, (size_t)n) == 1 &&
             EVP_DigestUpdate(ctx, parts[i], strlen(parts[i])) == 1;
    }
    if (!ok || EVP_DigestFinal_ex(ctx, digest, NULL) != 1) {
        fprintf(stderr, "pgsluice: SHA-256 is not available in this OpenSSL\n");
        abort();
    }
    EVP_MD_CTX_free(ctx);
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | digest[i];
    for (int i = 0; i < 10; i++)
        buf[i] = alphabet[bits >> (59 - 5 * i) & 31];
    buf[10] = '\0';
    return buf;
}
