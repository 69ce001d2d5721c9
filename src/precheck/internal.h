/* internal.h: what a check gets and how it reports. Internal to precheck/.
 *
 * A check looks and reports: sl_report for what its severity says, sl_report_warning for something
 * milder. Reporting nothing means passed; SL_NOT_FOUND, that it does not apply to this task. It
 * returns an error only when it could not look; that becomes a finding of its own, unless the
 * connection was lost. Strings given to a report are copied. */
#ifndef SL_PRECHECK_INTERNAL_H
#define SL_PRECHECK_INTERNAL_H

#include "precheck/precheck.h"

typedef enum sl_severity {
    SL_BLOCKS,    /* the task cannot run */
    SL_IGNORABLE, /* the task can run, with the stated loss, when the specification says so */
    SL_WARNS,
} sl_severity;

typedef struct sl_check_context sl_check_context;
typedef sl_rc (*sl_check_fn)(sl_check_context *c, sl_error *err);

typedef struct sl_check {
    const char *id;
    sl_side side;
    sl_severity severity;
    unsigned stages; /* SL_STAGE_*: looked at when one of them is chosen; 0 always */
    const char *title;
    sl_check_fn fn;
} sl_check;

extern const sl_check sl_checks[]; /* fn NULL ends it */
const sl_check *sl_check_find(const char *id);

struct sl_check_context {
    sl_run *run;
    sl_pg *source, *destination;
    const sl_check *check;
    sl_arena arena;    /* of this check; emptied after it */
    const char *oids;  /* of all routes on the source, as an array literal */
    bool state_exists; /* the destination has a state schema with its tables */
    sl_map *created;   /* label of a route → itself: tables that this task has created */
    sl_findings *out;
};

/* object "": the whole side. remedy: SQL or a line of configuration. */
void sl_report(sl_check_context *c, const char *object, const char *cause, const char *remedy);
void sl_report_warning(sl_check_context *c, const char *object, const char *cause,
                       const char *remedy);

/* Text in the check's arena: sl_say for people (printf), sl_sql for SQL. */
#define sl_say(c, ...) sl_arena_printf(&(c)->arena, __VA_ARGS__)

/* A query over the routes' OIDs, which are $1::oid[]. */
sl_rc sl_check_query(sl_check_context *c, const char *what, const char *sql, PGresult **res,
                     sl_error *err);
/* The same on either side without parameters. */
sl_rc sl_check_ask(sl_check_context *c, sl_pg *pg, const char *what, const char *sql,
                   PGresult **res, sl_error *err);
/* The route of the OID in a cell. */
const sl_route *sl_check_route(const sl_check_context *c, const PGresult *res, int row, int col);

/* "a, b, c and 7 more": at most `most` of the names added one by one. */
typedef struct sl_name_list {
    sl_buf text;
    size_t n, most;
} sl_name_list;
void sl_name_list_add(sl_name_list *names, const char *name);
const char *sl_name_list_text(sl_name_list *names); /* finishes; valid until freed */
#define SL_NAME_LIST(name, limit)                                                                  \
    __attribute__((cleanup(sl_name_list_free))) sl_name_list name = { .most = (limit) }
void sl_name_list_free(sl_name_list *names);

/* source_server.c */
sl_rc sl_check_source_version(sl_check_context *c, sl_error *err);
sl_rc sl_check_source_minor(sl_check_context *c, sl_error *err);
sl_rc sl_check_source_primary(sl_check_context *c, sl_error *err);
sl_rc sl_check_integer_datetimes(sl_check_context *c, sl_error *err);
sl_rc sl_check_wal_level(sl_check_context *c, sl_error *err);
sl_rc sl_check_replication(sl_check_context *c, sl_error *err);
sl_rc sl_check_slot(sl_check_context *c, sl_error *err);
sl_rc sl_check_wal_senders(sl_check_context *c, sl_error *err);
sl_rc sl_check_decoder(sl_check_context *c, sl_error *err);
sl_rc sl_check_wal_limit(sl_check_context *c, sl_error *err);
sl_rc sl_check_long_transactions(sl_check_context *c, sl_error *err);
sl_rc sl_check_locks(sl_check_context *c, sl_error *err);
/* source_rights.c */
sl_rc sl_check_select(sl_check_context *c, sl_error *err);
sl_rc sl_check_sequences(sl_check_context *c, sl_error *err);
sl_rc sl_check_row_security(sl_check_context *c, sl_error *err);
/* source_publication.c */
sl_rc sl_check_publication(sl_check_context *c, sl_error *err);
/* source_objects.c */
sl_rc sl_check_identity(sl_check_context *c, sl_error *err);
sl_rc sl_check_identity_full(sl_check_context *c, sl_error *err);
sl_rc sl_check_patterns(sl_check_context *c, sl_error *err);
sl_rc sl_check_unlogged(sl_check_context *c, sl_error *err);
sl_rc sl_check_truncate(sl_check_context *c, sl_error *err);
sl_rc sl_check_names(sl_check_context *c, sl_error *err);
sl_rc sl_check_unsupported(sl_check_context *c, sl_error *err);
sl_rc sl_check_foreign_keys(sl_check_context *c, sl_error *err);
/* destination_server.c */
sl_rc sl_check_destination_version(sl_check_context *c, sl_error *err);
sl_rc sl_check_destination_minor(sl_check_context *c, sl_error *err);
sl_rc sl_check_destination_writable(sl_check_context *c, sl_error *err);
sl_rc sl_check_not_the_source(sl_check_context *c, sl_error *err);
sl_rc sl_check_state_schema(sl_check_context *c, sl_error *err);
sl_rc sl_check_encoding(sl_check_context *c, sl_error *err);
sl_rc sl_check_collations(sl_check_context *c, sl_error *err);
sl_rc sl_check_extensions(sl_check_context *c, sl_error *err);
sl_rc sl_check_free_space(sl_check_context *c, sl_error *err);
/* destination_tables.c */
sl_rc sl_check_schemas(sl_check_context *c, sl_error *err);
sl_rc sl_check_shared(sl_check_context *c, sl_error *err);
sl_rc sl_check_conflicts(sl_check_context *c, sl_error *err);
sl_rc sl_check_tables_exist(sl_check_context *c, sl_error *err);
sl_rc sl_check_tables_empty(sl_check_context *c, sl_error *err);
sl_rc sl_check_columns(sl_check_context *c, sl_error *err);
sl_rc sl_check_table_rights(sl_check_context *c, sl_error *err);
sl_rc sl_check_triggers(sl_check_context *c, sl_error *err);
sl_rc sl_check_other_tasks(sl_check_context *c, sl_error *err);
/* precheck.c */
sl_rc sl_check_passes(sl_check_context *c, sl_error *err); /* reachability: we are here */
sl_rc sl_check_retry_time(sl_check_context *c, sl_error *err);
sl_rc sl_check_ignore_list(sl_check_context *c, sl_error *err);

#endif
