/* verbatim.h: the queries of verbatim.c's kinds. Each gives one row per object: OID, kind, schema,
 * name, its table or NULL, statement, what follows it, what runs later on its own, what COMMENT ON
 * takes, other keys ("class oid class oid …"), and what keeps it from firing. */
#ifndef SL_SCHEMA_VERBATIM_H
#define SL_SCHEMA_VERBATIM_H

#include "schema/internal.h"
#include "spec/names.h"

/* For the queries' second column; see names.h. */
#define LABEL(column) SL_NAMES_LABEL(column)

#define NOT_A_MEMBER(catalog, alias)                                                               \
    alias ".oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '" catalog      \
          "'::regclass AND e.objid = " alias ".oid AND e.deptype IN ('e', 'i'))"

const char *sl_query_routines(sl_cat *cat);
const char *sl_query_aggregates(sl_cat *cat);
const char *sl_query_operators(sl_cat *cat);
const char *sl_query_casts(sl_cat *cat);
const char *sl_query_operator_families(sl_cat *cat);
const char *sl_query_operator_classes(sl_cat *cat);
const char *sl_query_dictionaries(sl_cat *cat);
const char *sl_query_configurations(sl_cat *cat);
const char *sl_query_views(sl_cat *cat);
const char *sl_query_materialized_views(sl_cat *cat);
const char *sl_query_materialized_view_columns(sl_cat *cat);
const char *sl_query_materialized_view_indexes(sl_cat *cat);
const char *sl_query_statistics(sl_cat *cat);
const char *sl_query_triggers(sl_cat *cat);
const char *sl_query_trigger_states(sl_cat *cat);
const char *sl_query_rules(sl_cat *cat);
const char *sl_query_policies(sl_cat *cat);
const char *sl_query_row_security(sl_cat *cat);
const char *sl_query_relation_grants(sl_cat *cat);
const char *sl_query_column_grants(sl_cat *cat);
const char *sl_query_schema_grants(sl_cat *cat);
const char *sl_query_type_grants(sl_cat *cat);
const char *sl_query_routine_grants(sl_cat *cat);
const char *sl_query_default_grants(sl_cat *cat);

#endif
