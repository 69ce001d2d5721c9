/* tree.h: YAML or JSON text as a small tree of nodes that know their lines.
 *
 * JSON is read as what it is, YAML in flow style. Taken is what a configuration needs: one document
 * of maps, lists and scalars. Aliases, tags, keys that are not plain words, keys given twice, and
 * text that is not UTF-8 are refused with their line. Sizes are bounded: SL_TREE_MAX_BYTES of text,
 * SL_TREE_MAX_DEPTH levels. Messages never contain a value, since a value may be a password. */
#ifndef SL_SPEC_TREE_H
#define SL_SPEC_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include "core/arena.h"
#include "core/error.h"

#define SL_TREE_MAX_BYTES ((size_t)1 << 20)
#define SL_TREE_MAX_DEPTH 16

typedef enum sl_node_kind { SL_NODE_SCALAR, SL_NODE_LIST, SL_NODE_MAP } sl_node_kind;

typedef struct sl_node sl_node;
struct sl_node {
    sl_node_kind kind;
    int line;         /* from 1; of the key where there is one */
    const char *key;  /* of a map's member, else NULL */
    const char *text; /* of a scalar, else NULL; without NUL bytes inside */
    bool quoted;      /* a scalar in quotes or a block scalar: text, whatever it looks like */
    sl_node *first, *last, *next; /* children of a list or map, in the order of the file */
    size_t n;
};

/* Everything is allocated in the arena. SL_USAGE with "file:line: …". An empty text gives a NULL
 * root. */
sl_rc sl_tree_parse(sl_arena *arena, const char *text, size_t len, const char *file,
                    const sl_node **root, sl_error *err);

/* A scalar that stands for "no value": empty, ~ or null without quotes. */
bool sl_node_is_null(const sl_node *node);
/* "a text", "a list", "a map", "nothing": what a node is, for messages. */
const char *sl_node_kind_text(const sl_node *node);

/* A key as it may be shown: only its leading letters, digits, '_', '-' and '.', since what follows
 * may be a value that lacks the blank before it ("password:secret"). buf of at least 48 bytes;
 * returns buf. */
char *sl_node_key_text(const char *key, char *buf);

#endif
