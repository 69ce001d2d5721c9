/* verbatim.c: objects whose definition the server writes itself: routines, aggregates, operators,
 * casts, text search, views, triggers, rules, policies, statistics.
 *
 * Each kind is a query whose rows are whole objects: statements under an empty search_path, so
 * every name in them is schema-qualified. Those of schemas selected as a whole and those on
 * selected tables are wanted; routines and what expressions call are pulled in from anywhere when
 * they are needed.
 *
 * "OR REPLACE" is taken out of the server's text: a routine that is in the destination stays. */
#include <stdlib.h>
#include <string.h>

#include "schema/follow.h"
#include "schema/verbatim.h"
#include "spec/names.h"

enum { OID, KIND, SCHEMA, NAME, TABLE, SQL, AFTER, VALIDATE, COMMENT_ON, ALIASES, MUTE };

typedef struct verbatim {
    const char *sql, *after, *validate, *comment_on, *mute;
} verbatim;

/* What rows of a kind have in common. */
typedef struct verbatim_kind {
    uint32_t classid;
    sl_rank rank;
    sl_phase phase;
    bool pullable;
    const char *what;
    const char *(*query)(sl_cat *cat);
    int since;       /* the first version that has it, or 0 */
    bool privileges; /* only if the specification asks for them */
} verbatim_kind;

/* Tables and views come before what is on them. Row security has no catalog row of its own. */
static const verbatim_kind kinds[] = {
    { SL_CLASS_PROC, SL_RANK_ROUTINE, SL_PHASE_PRE, true, "routines", sl_query_routines },
    { SL_CLASS_PROC, SL_RANK_AGGREGATE, SL_PHASE_PRE, true, "aggregates", sl_query_aggregates },
    { SL_CLASS_OPERATOR, SL_RANK_OPERATOR, SL_PHASE_PRE, true, "operators", sl_query_operators },
    { SL_CLASS_CAST, SL_RANK_OPERATOR, SL_PHASE_PRE, true, "casts", sl_query_casts },
    { SL_CLASS_OPFAMILY, SL_RANK_OPERATOR, SL_PHASE_PRE, true, "operator families",
      sl_query_operator_families },
    { SL_CLASS_OPCLASS, SL_RANK_OPERATOR, SL_PHASE_PRE, true, "operator classes",
      sl_query_operator_classes },
    { SL_CLASS_TS_DICT, SL_RANK_TYPE, SL_PHASE_PRE, true, "dictionaries", sl_query_dictionaries },
    { SL_CLASS_TS_CONFIG, SL_RANK_TYPE, SL_PHASE_PRE, true, "configurations",
      sl_query_configurations },
    { SL_CLASS_REL, SL_RANK_VIEW, SL_PHASE_PRE, false, "views", sl_query_views },
    { SL_CLASS_REL, SL_RANK_VIEW, SL_PHASE_POST, false, "materialized views",
      sl_query_materialized_views },
    { 0, SL_RANK_OTHER, SL_PHASE_POST, false, "materialized view columns",
      sl_query_materialized_view_columns },
    { SL_CLASS_REL, SL_RANK_OTHER, SL_PHASE_POST, false, "indexes of materialized views",
      sl_query_materialized_view_indexes },
    { SL_CLASS_STATISTICS, SL_RANK_STATISTICS, SL_PHASE_POST, false, "statistics",
      sl_query_statistics, SL_PG_10 },
    { SL_CLASS_REWRITE, SL_RANK_RULE, SL_PHASE_POST, false, "rules", sl_query_rules },
    { SL_CLASS_TRIGGER, SL_RANK_TRIGGER, SL_PHASE_POST, false, "triggers", sl_query_triggers },
    { SL_CLASS_TRIGGER, SL_RANK_TRIGGER, SL_PHASE_POST, false, "trigger states",
      sl_query_trigger_states, SL_PG_13 },
    { SL_CLASS_POLICY, SL_RANK_POLICY, SL_PHASE_POST, false, "policies", sl_query_policies,
      SL_PG_9_5 },
    { 0, SL_RANK_POLICY, SL_PHASE_POST, false, "row security", sl_query_row_security, SL_PG_9_5 },
    { 0, SL_RANK_PRIVILEGES, SL_PHASE_POST, false, "relation grants", sl_query_relation_grants, 0,
      true },
    { 0, SL_RANK_PRIVILEGES, SL_PHASE_POST, false, "column grants", sl_query_column_grants, 0,
      true },
    { 0, SL_RANK_PRIVILEGES, SL_PHASE_POST, false, "schema grants", sl_query_schema_grants, 0,
      true },
    { 0, SL_RANK_PRIVILEGES, SL_PHASE_POST, false, "type grants", sl_query_type_grants, 0, true },
    { 0, SL_RANK_PRIVILEGES, SL_PHASE_POST, false, "routine grants", sl_query_routine_grants, 0,
      true },
    { 0, SL_RANK_PRIVILEGES, SL_PHASE_POST, false, "default grants", sl_query_default_grants, 0,
      true },
};

static void emit_verbatim(sl_cat *cat, sl_node *node)
{
    SL_BUF(after);
    const verbatim *text = node->data;
    if (text->after)
        sl_sql_add(&after, "%s\n", text->after);
    if (text->comment_on)
        sl_cat_add_comment(cat, &after, node->classid, node->oid, 0, text->comment_on);
    node->sql = sl_arena_strdup(cat->out, text->sql);
    node->validate_sql = sl_arena_strdup(cat->out, text->validate);
    node->mute_sql = sl_arena_strdup(cat->out, text->mute);
    node->after_sql = sl_cat_keep(cat, &after);
}

/* "class oid class oid …" */
static void add_aliases(sl_cat *cat, sl_node *node, const char *list)
{
    for (char *p = (char *)list; p && *p;) {
        uint32_t classid = (uint32_t)strtoul(p, &p, 10);
        sl_cat_alias(cat, classid, (uint32_t)strtoul(p, &p, 10), node);
        p += strspn(p, " ");
    }
}

/* Is it a statement whose parse tree is needed? Of the others only qualified names change. */
static bool is_parsed(const verbatim_kind *kind)
{
    return kind->classid == SL_CLASS_REL || kind->classid == SL_CLASS_STATISTICS ||
           kind->classid == SL_CLASS_REWRITE || kind->classid == SL_CLASS_TRIGGER ||
           kind->classid == SL_CLASS_POLICY || kind->rank == SL_RANK_ROUTINE;
}

/* Names of several parts are labels already: f(integer), table.trigger. */
static bool name_is_label(const verbatim_kind *kind)
{
    return kind->rank == SL_RANK_ROUTINE || kind->rank == SL_RANK_AGGREGATE ||
           kind->rank == SL_RANK_OPERATOR || kind->rank == SL_RANK_RULE ||
           kind->rank == SL_RANK_TRIGGER || kind->rank == SL_RANK_PRIVILEGES ||
           kind->classid == SL_CLASS_POLICY;
}

/* What a body in quotes says is known when it runs, not before. */
static void flag_body(sl_cat *cat, sl_node *node, const char *definition)
{
    const char *mentioned = sl_follow_mention(cat, definition);
    if (mentioned)
        sl_cat_detail(cat, node, "its body is text and mentions %s, which has another name here",
                      mentioned);
}

static void verbatim_row(sl_cat *cat, const PGresult *row)
{
    const verbatim_kind *kind = cat->reader;
    uint32_t oid = sl_cat_oid(row, OID), relation = sl_cat_oid(row, TABLE);
    sl_node *on = relation ? sl_cat_find(cat, SL_CLASS_REL, relation) : NULL;
    const char *schema = sl_cat_text(cat, row, SCHEMA);
    bool wanted = relation ? on && on->wanted : sl_cat_whole(cat, schema);
    if (sl_cat_find(cat, kind->classid, oid) || (!wanted && !kind->pullable))
        return;
    verbatim *text = SL_NEW(&cat->arena, verbatim);
    const char *name = sl_cat_text(cat, row, NAME), *why = NULL;
    const sl_renamed *base = on ? sl_cat_renamed(cat, on->schema, on->name)
                             : kind->rank == SL_RANK_VIEW ? sl_cat_renamed(cat, schema, name)
                                                          : NULL;
    text->sql = sl_follow(cat, is_parsed(kind) ? SL_FOLLOW_STATEMENT : SL_FOLLOW_NAMES, base,
                          sl_cat_text(cat, row, SQL), &why);
    text->after = sl_follow(cat, SL_FOLLOW_NAMES, base, sl_cat_text(cat, row, AFTER), NULL);
    text->validate = sl_follow_names(cat, sl_cat_text(cat, row, VALIDATE));
    text->comment_on = sl_follow_names(cat, sl_cat_text(cat, row, COMMENT_ON));
    text->mute = sl_follow_names(cat, sl_cat_text(cat, row, MUTE));
    sl_node *node =
        sl_cat_add(cat, kind->classid, oid, kind->rank, sl_cat_text(cat, row, KIND), schema, name);
    node->kind = sl_arena_strdup(cat->out, node->kind);
    if (name_is_label(kind))
        node->identity =
            sl_arena_printf(cat->out, "%s.%s", sl_names_label(schema, &cat->arena), name);
    node->phase = kind->phase;
    node->pullable = kind->pullable;
    node->wanted = wanted;
    node->route = on ? on->route : NULL;
    node->data = text;
    node->emit = emit_verbatim;
    node->unsupported = why;
    if (kind->rank == SL_RANK_ROUTINE)
        flag_body(cat, node, sl_cell(row, 0, SQL));
    sl_cat_edge(cat, node, on);
    add_aliases(cat, node, sl_cell(row, 0, ALIASES));
}

sl_rc sl_cat_read_verbatim(sl_cat *cat)
{
    sl_rc rc = SL_OK;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && rc == SL_OK; i++) {
        if (cat->version < kinds[i].since ||
            (kinds[i].privileges && !cat->run->spec->include_privileges))
            continue;
        cat->reader = &kinds[i];
        rc = sl_cat_each(cat, kinds[i].what, kinds[i].query(cat), verbatim_row);
    }
    return rc;
}
