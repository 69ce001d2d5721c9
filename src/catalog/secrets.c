/* secrets.c: sealing with the key file (libsodium's secretbox; the purpose is part of what is
 * sealed), random ids and tokens, and their hashes. */
#include <string.h>

#include "catalog/access.h"

#define BASE64 sodium_base64_VARIANT_URLSAFE_NO_PADDING

char *sl_secret_seal(sl_catalog *c, const char *purpose, const char *text, sl_arena *arena)
{
    SL_BUF(plain);
    sl_buf_add(&plain, purpose, strlen(purpose) + 1);
    sl_buf_add(&plain, text, strlen(text));
    size_t size = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + plain.len;
    unsigned char *box = sl_arena_alloc(arena, size);
    randombytes_buf(box, crypto_secretbox_NONCEBYTES);
    crypto_secretbox_easy(box + crypto_secretbox_NONCEBYTES, (unsigned char *)plain.data, plain.len,
                          box, c->key);
    sodium_memzero(plain.data, plain.len);
    size_t encoded = sodium_base64_encoded_len(size, BASE64);
    char *out = sl_arena_alloc(arena, encoded);
    return sodium_bin2base64(out, encoded, box, size, BASE64);
}

static sl_rc cannot_open(sl_error *err)
{
    sl_fail(err, SL_FAILED, "a stored secret cannot be opened");
    return sl_hint(err,
                   "secret.key is not the one that sealed it, or the catalog was changed: give "
                   "the password again.");
}

sl_rc sl_secret_open(sl_catalog *c, const char *purpose, const char *sealed, sl_arena *arena,
                     char **text, sl_error *err)
{
    const size_t around = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
    size_t size = strlen(sealed), n, prefix = strlen(purpose) + 1;
    unsigned char *box = sl_arena_alloc(arena, size + 1);
    if (sodium_base642bin(box, size, sealed, size, NULL, &n, NULL, BASE64) != 0 ||
        n < around + prefix)
        return cannot_open(err);
    char *plain = sl_arena_zalloc(arena, n - around + 1);
    if (crypto_secretbox_open_easy((unsigned char *)plain, box + crypto_secretbox_NONCEBYTES,
                                   n - crypto_secretbox_NONCEBYTES, box, c->key) != 0 ||
        memcmp(plain, purpose, prefix) != 0)
        return cannot_open(err);
    *text = plain + prefix;
    return SL_OK;
}

char *sl_catalog_new_id(char *buf)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (int i = 0; i < SL_ID_SIZE - 1; i++)
        buf[i] = letters[randombytes_uniform(i == 0 ? 26 : 36)];
    buf[SL_ID_SIZE - 1] = '\0';
    return buf;
}

void sl_access_new_secret(const char *prefix, char *secret)
{
    unsigned char random[32];
    randombytes_buf(random, sizeof(random));
    size_t n = strlen(prefix);
    memcpy(secret, prefix, n);
    sodium_bin2base64(secret + n, SL_TOKEN_SIZE - n, random, sizeof(random), BASE64);
}

char *sl_access_hash(sl_catalog *c, const char *use, const char *secret, char *hash)
{
    unsigned char digest[32];
    crypto_generichash_state state;
    crypto_generichash_init(&state, c->key, sizeof(c->key), sizeof(digest));
    crypto_generichash_update(&state, (const unsigned char *)use, strlen(use) + 1);
    crypto_generichash_update(&state, (const unsigned char *)secret, strlen(secret));
    crypto_generichash_final(&state, digest, sizeof(digest));
    return sodium_bin2base64(hash, SL_TOKEN_SIZE, digest, sizeof(digest), BASE64);
}

void sl_session_csrf(sl_catalog *c, const char *secret, char *csrf)
{
    sl_access_hash(c, "csrf", secret, csrf);
}
