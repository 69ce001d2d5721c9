/* internal.h: what the files of schema/ share.
 *
 * The source's catalogs become nodes (one per object that can be created alone) and edges (what
 * needs what, from pg_depend). A node is found by its catalog key (classid, oid); several keys may
 * lead to one node: an array type to its element type, a row type to its table, a member of an
 * extension to the extension. Readers make nodes; nothing is generated until the edges have decided
 * which nodes are wanted and in which phase and order they come; then every wanted node's emit
 * function writes its SQL with the routes' names.
 *
 * Everything here belongs to one thread and dies with sl_cat, except strings that emit functions
 * allocate in cat->out. */
#ifndef SL_SCHEMA_INTERNAL_H
#define SL_SCHEMA_INTERNAL_H

#include "schema/schema.h"

/* OIDs of the catalogs that appear in pg_depend and pg_description (src/include/catalog, the same
 * in every version). */
enum {
    SL_CLASS_TYPE = 1247,
    SL_CLASS_PROC = 1255,
    SL_CLASS_REL = 1259,
    SL_CLASS_SERVER = 1417,
    SL_CLASS_FDW = 2328,
    SL_CLASS_AM = 2601,
    SL_CLASS_ATTRDEF = 2604,
    SL_CLASS_CAST = 2605,
    SL_CLASS_CONSTRAINT = 2606,
    SL_CLASS_CONVERSION = 2607,
    SL_CLASS_LANGUAGE = 2612,
    SL_CLASS_SCHEMA = 2615,
    SL_CLASS_OPCLASS = 2616,
    SL_CLASS_OPERATOR = 2617,
    SL_CLASS_REWRITE = 2618,
    SL_CLASS_TRIGGER = 2620,
    SL_CLASS_OPFAMILY = 2753,
    SL_CLASS_EXTENSION = 3079,
    SL_CLASS_POLICY = 3256,
    SL_CLASS_STATISTICS = 3381,
    SL_CLASS_COLLATION = 3456,
    SL_CLASS_EVENT_TRIGGER = 3466,
    SL_CLASS_TRANSFORM = 3576,
    SL_CLASS_TS_DICT = 3600,
    SL_CLASS_TS_PARSER = 3601,
    SL_CLASS_TS_CONFIG = 3602,
    SL_CLASS_TS_TEMPLATE = 3764,
};

/* Order among objects of one phase that do not depend on each other. */
typedef enum sl_rank {
    SL_RANK_SCHEMA,
    SL_RANK_EXTENSION,
    SL_RANK_COLLATION,
    SL_RANK_TYPE,
    SL_RANK_ROUTINE,
    SL_RANK_OPERATOR,
    SL_RANK_AGGREGATE,
    SL_RANK_SEQUENCE,
    SL_RANK_TABLE,
    SL_RANK_DEFAULT,
    SL_RANK_CHECK,
    SL_RANK_INDEX,
    SL_RANK_INDEX_CONSTRAINT,
    SL_RANK_INDEX_ROOT,
    SL_RANK_TABLE_MARK, /* replica identity, clustered-on */
    SL_RANK_FOREIGN_KEY,
    SL_RANK_VIEW,
    SL_RANK_STATISTICS,
    SL_RANK_RULE,
    SL_RANK_TRIGGER,
    SL_RANK_POLICY,
    SL_RANK_OTHER,
    SL_RANK_PRIVILEGES,
} sl_rank;

typedef struct sl_cat sl_cat;
typedef struct sl_node sl_node;

typedef struct sl_edge {
    sl_node *to;
    struct sl_edge *next;
} sl_edge;

struct sl_node {
    uint32_t classid, oid;
    sl_rank rank;
    sl_phase phase;
    const char *kind;
    const char *schema, *name; /* source names; schema "" where there is none */
    const char *dst_name;      /* the name in the destination, where it is another */
    const char *identity;      /* see sl_object */
    const sl_route *route;
    bool wanted;   /* will be an object */
    bool pullable; /* becomes wanted when a wanted node needs it */
    bool required; /* its failure fails the stage */
    bool inlined;  /* written as part of its table */
    bool excludes; /* see sl_object */
    const char *unsupported;
    bool left_out;                            /* unsupported because a column is not selected */
    void (*emit)(sl_cat *cat, sl_node *node); /* fills the three texts and detail */
    void *data;                               /* of the kind's own file */
    const char *sql, *validate_sql, *after_sql, *mute_sql, *detail;
    sl_edge *needs, *needed_by;
    /* Used by order.c only. */
    size_t position, blockers;
    int mark;
};

/* Columns and tables as the catalog has them; see tables.c. */
typedef struct sl_cat_sequence sl_cat_sequence;
typedef struct sl_cat_column {
    int attnum;
    const char *name;                                    /* source */
    const char *dst;                                     /* NULL: not selected */
    const char *type, *collation, *options, *statistics; /* SQL, or NULL */
    char storage, compression, identity, generated;      /* 0: nothing to say */
    bool not_null, is_local;
    int inherited;
    sl_node *default_node;     /* also a generated column's expression */
    sl_cat_sequence *sequence; /* identity */
    /* Not-null constraints have a catalog row from 18 on. */
    const char *not_null_name, *not_null_comment;
    bool not_null_no_inherit, not_null_local, not_null_invalid;
} sl_cat_column;

typedef struct sl_cat_table {
    sl_node *node;
    const sl_route *route;
    char relkind, persistence, replica_identity;
    const char *options, *toast_options, *dropped_options, *method, *of_type, *bound, *part_key;
    bool row_security, force_row_security;
    sl_cat_column *columns;
    size_t n_columns;
    struct sl_cat_table **parents; /* selected ones */
    size_t n_parents;
    sl_node *attachment;   /* to the table that sources share (merge), or NULL */
    bool inherited_checks; /* some come from a parent only */
    bool flattened;        /* has parents that are not selected: every column is its own */
    sl_node **checks;
    size_t n_checks;
    sl_cat_sequence **owned;
    size_t n_owned;
} sl_cat_table;

/* A column's default or a generated column's expression. */
typedef struct sl_cat_default {
    sl_cat_table *table;
    sl_cat_column *column;
    const char *expression;
} sl_cat_default;

struct sl_cat_sequence {
    sl_node *node; /* NULL for an identity column's */
    uint32_t oid;
    const char *schema, *name, *type, *start, *increment, *min, *max, *cache;
    bool cycle, unlogged;
    uint32_t owner; /* table, or 0 */
    int owner_attnum;
    bool identity;
};

struct sl_cat {
    sl_run *run;
    const sl_routes *routes;
    sl_pg *source;
    int version, dst_version;
    sl_arena *out;    /* the schema's: what objects keep */
    sl_arena arena;   /* everything else */
    sl_map *keys;     /* (classid, oid) → sl_node * */
    sl_map *comments; /* (classid, oid, subid) → text */
    sl_map *renamed;  /* "schema\0name" → sl_renamed * (follow.h); NULL: nothing is renamed */
    sl_node **nodes;
    size_t n_nodes, cap_nodes;
    sl_cat_table **tables;  /* by route index; NULL when it has vanished */
    const char *table_oids; /* "{1,2,3}", of the routes' tables */
    const void *reader;     /* what the rows' reader has to know */
    sl_error *err;
};

/* catalog.c: nodes, keys, queries */
#define SL_SINCE(cat, v, yes, no) ((cat)->version >= (v) ? (yes) : (no))
typedef void (*sl_row_fn)(sl_cat *cat, const PGresult *row);
/* Runs a query on the source and hands over its rows one at a time. */
sl_rc sl_cat_each(sl_cat *cat, const char *what, const char *sql, sl_row_fn fn);
sl_node *sl_cat_add(sl_cat *cat, uint32_t classid, uint32_t oid, sl_rank rank, const char *kind,
                    const char *schema, const char *name);
/* Something on a table that has no schema of its own: a constraint, a default. */
sl_node *sl_cat_add_on(sl_cat *cat, uint32_t classid, uint32_t oid, sl_rank rank, const char *kind,
                       const sl_cat_table *table, const char *name);
void sl_cat_alias(sl_cat *cat, uint32_t classid, uint32_t oid, sl_node *node); /* oid 0: nothing */
sl_node *sl_cat_find(const sl_cat *cat, uint32_t classid, uint32_t oid);
void sl_cat_edge(sl_cat *cat, sl_node *from, sl_node *to);
const char *sl_cat_comment(const sl_cat *cat, uint32_t classid, uint32_t oid, int subid);
/* COMMENT ON <what> IS …; when the object has one. what is SQL. */
void sl_cat_add_comment(sl_cat *cat, sl_buf *buf, uint32_t classid, uint32_t oid, int subid,
                        const char *what);
bool sl_cat_whole(const sl_cat *cat, const char *schema);             /* selected as a whole? */
const char *sl_cat_schema(const sl_cat *cat, const char *name);       /* destination's name */
char *sl_cat_name(sl_cat *cat, const char *schema, const char *name); /* destination, quoted */
/* The destination's name of a table's index or constraint. */
const char *sl_cat_belonging(sl_cat *cat, const sl_route *route, const char *name);
const char *sl_cat_text(sl_cat *cat, const PGresult *row,
                        int col); /* copy in cat->arena, or NULL */
uint32_t sl_cat_oid(const PGresult *row, int col);
char sl_cat_char(const PGresult *row, int col);          /* 0 for NULL or "" */
const char *sl_cat_keep(sl_cat *cat, const sl_buf *buf); /* copy in cat->out; NULL when empty */
void sl_cat_detail(sl_cat *cat, sl_node *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4))); /* adds to the node's detail */
/* "{1,2}" → numbers; returns how many were stored. */
size_t sl_cat_numbers(const char *text, int *out, size_t max);
sl_cat_table *sl_cat_table_of(const sl_cat *cat, uint32_t oid);
/* Appends an element to a pointer array in cat->arena that grows by doubling. */
void sl_cat_push(sl_cat *cat, void *array, size_t *n, void *item);

/* The readers, in the order they run. */
sl_rc sl_cat_read_members(sl_cat *cat);
sl_rc sl_cat_read_schemas(sl_cat *cat);
sl_rc sl_cat_read_comments(sl_cat *cat);
sl_rc sl_cat_read_depends(sl_cat *cat);
sl_rc sl_cat_read_tables(sl_cat *cat);
sl_rc sl_cat_read_defaults(sl_cat *cat);
sl_rc sl_cat_read_constraints(sl_cat *cat);
sl_rc sl_cat_read_indexes(sl_cat *cat);
sl_rc sl_cat_read_sequences(sl_cat *cat);
sl_rc sl_cat_read_types(sl_cat *cat);
void sl_cat_free_types(sl_cat *cat);
void sl_cat_break_circles(sl_cat *cat); /* after the dependencies are read */
sl_rc sl_cat_read_collations(sl_cat *cat);
sl_rc sl_cat_read_verbatim(sl_cat *cat);
sl_rc sl_cat_read_others(sl_cat *cat);

/* left_out.c: after the dependencies are read */
sl_rc sl_cat_leave_out(sl_cat *cat);

/* tables.c, table_ddl.c, sequences.c */
sl_cat_column *sl_cat_column_of(const sl_cat_table *table, int attnum);
void sl_cat_emit_table(sl_cat *cat, sl_node *node);
void sl_cat_emit_default(sl_cat *cat, sl_node *node);
/* shared.c: a table of its own as a partition of one that several sources share (merge). */
void sl_cat_add_attachment(sl_cat *cat, sl_cat_table *table);
void sl_cat_shared_head(sl_cat *cat, sl_buf *sql, const sl_cat_table *table);
void sl_cat_shared_elements(sl_cat *cat, sl_buf *list, const sl_cat_table *table, size_t n);
void sl_cat_shared_after(sl_cat *cat, sl_buf *sql, const sl_cat_table *table);
void sl_cat_sequence_options(sl_cat *cat, sl_buf *buf, const sl_cat_sequence *seq);
/* Reads "{attnum,…}" as a quoted list of destination columns; NULL when one is not selected.
 * before_last: text in front of the last one, "" or PERIOD. In cat->arena. */
char *sl_cat_column_list(sl_cat *cat, const sl_cat_table *table, const char *attnums,
                         const char *before_last);

/* order.c: decides what is inlined and wanted; sorts the wanted nodes into creation order. */
void sl_cat_inline(sl_cat *cat);
void sl_cat_close(sl_cat *cat);
/* cat->nodes is left with the wanted ones first, in order; returns their number. */
size_t sl_cat_order(sl_cat *cat);

#endif
