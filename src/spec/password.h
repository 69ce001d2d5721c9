/* password.h: where a specification may say that a password is. Nothing here, and no message, ever
 * contains one. Allocated in the arena; NULL is never given with SL_OK. */
#ifndef SL_SPEC_PASSWORD_H
#define SL_SPEC_PASSWORD_H

#include "core/arena.h"
#include "core/error.h"

/* `where` begins the messages: "shop.yaml:4: source.password_file". One newline at the end of a
 * file does not count. A file must be a regular one of at most 4 KiB. */
sl_rc sl_password_from_file(sl_arena *arena, const char *where, const char *path,
                            const char **password, sl_error *err);
sl_rc sl_password_from_env(sl_arena *arena, const char *where, const char *name,
                           const char **password, sl_error *err);
/* A file of that name in $CREDENTIALS_DIRECTORY (systemd's LoadCredential= and SetCredential=). */
sl_rc sl_password_from_credential(sl_arena *arena, const char *where, const char *name,
                                  const char **password, sl_error *err);

#endif
