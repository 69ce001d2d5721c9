/* follow.h: SQL that the source's server wrote, with the destination's names in it. Internal to
 * schema/.
 *
 * The server writes definitions under an empty search_path, so names are schema-qualified and the
 * text is regular. It is not written anew: PostgreSQL's own parser (libpg_query) says where in the
 * text relations and columns are named, and only those places are edited. Inside queries a renamed
 * table gets its old name and its columns' old names as aliases (FROM sales.orders_eu orders(id,
 * cust)), so that nothing else in the query has to change and its own columns keep their names.
 * Where no alias can stand (the table of a check, an index, a policy, a rule, the target of an
 * UPDATE) the columns are edited themselves.
 *
 * Without any mapping the text is returned as it is. */
#ifndef SL_SCHEMA_FOLLOW_H
#define SL_SCHEMA_FOLLOW_H

#include "schema/internal.h"

typedef struct sl_renamed_column {
    const char *name, *dst_name; /* may be the same */
} sl_renamed_column;

/* A relation whose schema, name or columns are others in the destination. */
typedef struct sl_renamed {
    const char *schema, *name, *dst_schema, *dst_name;
    sl_renamed_column *columns; /* in the destination's order */
    size_t n_columns, capacity;
    size_t last_renamed; /* columns[last_renamed - 1] is; 0: none */
} sl_renamed;

typedef enum sl_follow_kind {
    SL_FOLLOW_NAMES,      /* qualified names only: types, options, ALTER, COMMENT, GRANT */
    SL_FOLLOW_EXPRESSION, /* of a table's columns */
    SL_FOLLOW_CONSTRAINT, /* from CHECK, EXCLUDE, PRIMARY KEY … on */
    SL_FOLLOW_INDEX,      /* from USING on */
    SL_FOLLOW_PARTITION,  /* what comes after PARTITION BY */
    SL_FOLLOW_STATEMENT,  /* a whole statement */
} sl_follow_kind;

/* Reads what is renamed besides tables: views, sequences; fills cat->renamed (NULL: nothing is). */
sl_rc sl_cat_read_renamed(sl_cat *cat);
sl_renamed *sl_cat_renamed(const sl_cat *cat, const char *schema, const char *name);

/* base: the relation whose columns stand in the text without a qualifier, or NULL. *why: set to the
 * reason when the text could not be followed (it is then returned as far as names go); else left
 * alone. Text NULL gives NULL. In cat->arena. */
const char *sl_follow(sl_cat *cat, sl_follow_kind kind, const sl_renamed *base, const char *text,
                      const char **why);
/* The common case: nothing can go wrong. */
const char *sl_follow_names(sl_cat *cat, const char *text);
/* For the tables' own readers. */
const sl_renamed *sl_cat_renamed_route(const sl_cat *cat, const sl_route *route);

/* Does a routine's string body mention something that is renamed? Its name, or NULL. */
const char *sl_follow_mention(sl_cat *cat, const char *definition);

/* ---- between the two halves: the text's tokens and its edits (follow.c), the tree
 * (follow_tree.c) ---- */

typedef enum sl_token_kind {
    SL_TOKEN_NAME,    /* value is what it names */
    SL_TOKEN_KEYWORD, /* upper case: never a name in the server's texts */
    SL_TOKEN_STRING,  /* value without quotes */
    SL_TOKEN_BODY,    /* in dollar quotes */
    SL_TOKEN_OTHER,   /* an operator's character, a parenthesis, a number */
} sl_token_kind;

typedef struct sl_token {
    sl_token_kind kind;
    size_t start, len;
    const char *value;
    bool column;   /* begins a column reference: not a qualified object */
    bool relation; /* begins a relation's name, whatever follows */
    bool edited;
} sl_token;

typedef struct sl_edit {
    size_t at, len;
    const char *text;
} sl_edit;

typedef struct sl_text {
    sl_cat *cat;
    const char *text;
    sl_token *tokens;
    size_t n, capacity;
    sl_edit *edits;
    size_t n_edits, capacity_edits;
} sl_text;

void sl_text_edit(sl_text *t, size_t token, const char *text);   /* in place of a token */
void sl_text_insert(sl_text *t, size_t token, const char *text); /* behind a token */
/* The token that begins there, or t->n. */
size_t sl_text_token_at(const sl_text *t, size_t offset);
bool sl_text_is(const sl_text *t, size_t token, const char *text); /* as written */
/* Puts the destination's name of a column of the relation in place of a token. */
void sl_text_rename_column(sl_text *t, size_t token, const sl_renamed *relation);

/* Parses the text and edits columns and aliases. False: it cannot be parsed; *why says how. */
bool sl_follow_tree(sl_text *t, sl_follow_kind kind, const sl_renamed *base, const char **why);

#endif
