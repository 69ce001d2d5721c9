/* indexes.c: indexes and the constraints that stand on them.
 *
 * An index is one object of the phase INDEX, whether a constraint stands on it or not: CREATE
 * [UNIQUE] INDEX only shares its table's lock, so the indexes of one table are built at once by
 * several sessions. The constraint takes its index over in the phase POST (ADD CONSTRAINT … USING
 * INDEX), where nothing is built any more. Exclusion and temporal constraints cannot do that: they
 * are built as constraints.
 *
 * Indexes of partitioned tables: the leaves' are built like any other; then, in POST, the root's is
 * made ON ONLY the root and the children's attached to it, deepest first.
 *
 * The definition is the server's from the access method on; the head is ours. */
#include "schema/follow.h"

#include <string.h>

typedef struct cat_index {
    const sl_cat_table *table;
    sl_node *node;                            /* the index, or the constraint that makes it */
    sl_node *constraint;                      /* or NULL */
    const char *name, *dst_name, *definition; /* from USING on */
    const char *constraint_definition;
    bool unique, primary, partitioned, direct; /* direct: built by its constraint */
    bool deferrable, deferred, include, nulls_not_distinct;
    bool on_oid;            /* the system column of WITH OIDS */
    const char *statistics; /* ALTER COLUMN n SET STATISTICS m, … */
    struct cat_index **children;
    size_t n_children;
} cat_index;

static const char *obstacle(const sl_cat *cat, const cat_index *index)
{
    if (index->on_oid)
        return "it is on the system column oid (WITH OIDS), which is not synchronized";
    if (index->partitioned && cat->dst_version < SL_PG_11)
        return "indexes of partitioned tables need PostgreSQL 11: its partitions have theirs";
    if (index->include && cat->dst_version < SL_PG_11)
        return "INCLUDE needs PostgreSQL 11";
    if (index->nulls_not_distinct && cat->dst_version < SL_PG_15)
        return "NULLS NOT DISTINCT needs PostgreSQL 15";
    if (index->constraint_definition && strstr(index->constraint_definition, "WITHOUT OVERLAPS") &&
        cat->dst_version < SL_PG_18)
        return "WITHOUT OVERLAPS needs PostgreSQL 18";
    return NULL;
}

static const char *index_name(sl_cat *cat, const cat_index *index)
{
    return sl_sql(&cat->arena, "%I.%I", index->table->route->dst_schema, index->dst_name);
}

static void add_settings(sl_cat *cat, sl_buf *after, const cat_index *index, uint32_t oid)
{
    const char *name = index_name(cat, index);
    if (index->statistics && cat->dst_version >= SL_PG_11)
        sl_sql_add(after, "ALTER INDEX %s %s;\n", name, index->statistics);
    sl_cat_add_comment(cat, after, SL_CLASS_REL, oid, 0, sl_sql(&cat->arena, "INDEX %s", name));
}

static void add_attachments(sl_cat *cat, sl_buf *sql, const cat_index *index)
{
    for (size_t i = 0; i < index->n_children; i++)
        sl_sql_add(sql, "ALTER INDEX %s ATTACH PARTITION %s;\n", index_name(cat, index),
                   index_name(cat, index->children[i]));
}

static void emit_index(sl_cat *cat, sl_node *node)
{
    SL_BUF(sql);
    SL_BUF(after);
    const cat_index *index = node->data;
    node->unsupported = obstacle(cat, index);
    sl_sql_add(&sql, "CREATE %sINDEX %I ON %s%s %s;\n", index->unique ? "UNIQUE " : "",
               index->dst_name, index->partitioned ? "ONLY " : "",
               sl_route_dst_sql(node->route, &cat->arena), index->definition);
    add_attachments(cat, &sql, index);
    add_settings(cat, &after, index, node->oid);
    node->sql = sl_cat_keep(cat, &sql);
    node->after_sql = sl_cat_keep(cat, &after);
}

static void add_deferral(sl_buf *sql, const cat_index *index)
{
    if (index->deferrable)
        sl_sql_add(sql, " DEFERRABLE%s", index->deferred ? " INITIALLY DEFERRED" : "");
}

static void emit_index_constraint(sl_cat *cat, sl_node *node)
{
    SL_BUF(sql);
    SL_BUF(after);
    const cat_index *index = node->data;
    const char *table = sl_route_dst_sql(node->route, &cat->arena);
    node->unsupported = obstacle(cat, index);
    sl_sql_add(&sql, "ALTER TABLE ONLY %s ADD CONSTRAINT %I ", table, node->dst_name);
    if (index->direct) {
        sl_sql_add(&sql, "%s;\n", index->constraint_definition);
    } else {
        sl_sql_add(&sql, "%s USING INDEX %I", index->primary ? "PRIMARY KEY" : "UNIQUE",
                   index->dst_name);
        add_deferral(&sql, index);
        sl_buf_puts(&sql, ";\n");
    }
    add_attachments(cat, &sql, index);
    if (index->direct)
        add_settings(cat, &after, index, index->node->oid);
    sl_cat_add_comment(cat, &after, SL_CLASS_CONSTRAINT, node->oid, 0,
                       sl_sql(&cat->arena, "CONSTRAINT %I ON %s", node->dst_name, table));
    node->sql = sl_cat_keep(cat, &sql);
    node->after_sql = sl_cat_keep(cat, &after);
}

static void emit_mark(sl_cat *cat, sl_node *node)
{
    const cat_index *index = node->data;
    bool cluster = strcmp(node->kind, "cluster mark") == 0;
    node->sql =
        sl_sql(cat->out, "ALTER TABLE ONLY %s %s %I;", sl_route_dst_sql(node->route, &cat->arena),
               cluster ? "CLUSTER ON" : "REPLICA IDENTITY USING INDEX", index->dst_name);
}

/* A property of the table that names the index; it has no catalog row, so a key of its own. */
static void add_mark(sl_cat *cat, cat_index *index, const char *kind)
{
    sl_node *node =
        sl_cat_add(cat, 0, 0, SL_RANK_TABLE_MARK, kind, NULL, index->table->node->identity);
    node->schema = index->table->route->src_schema;
    node->route = index->table->route;
    node->phase = SL_PHASE_POST;
    node->wanted = true;
    node->data = index;
    node->emit = emit_mark;
    sl_cat_edge(cat, node, index->constraint ? index->constraint : index->node);
}

static sl_node *add_index_node(sl_cat *cat, cat_index *index, uint32_t oid)
{
    sl_rank rank = index->partitioned ? SL_RANK_INDEX_ROOT : SL_RANK_INDEX;
    sl_node *node = sl_cat_add(cat, SL_CLASS_REL, oid, rank, "index",
                               index->table->route->src_schema, index->name);
    node->dst_name = index->dst_name;
    node->route = index->table->route;
    node->phase = index->partitioned ? SL_PHASE_POST : SL_PHASE_INDEX;
    node->data = index;
    node->emit = emit_index;
    node->wanted = !index->direct;
    sl_cat_edge(cat, node, index->table->node);
    return node;
}

static sl_node *add_constraint_node(sl_cat *cat, cat_index *index, uint32_t oid, const char *name)
{
    sl_rank rank = index->partitioned ? SL_RANK_INDEX_ROOT : SL_RANK_INDEX_CONSTRAINT;
    sl_node *node =
        sl_cat_add_on(cat, SL_CLASS_CONSTRAINT, oid, rank, "constraint", index->table, name);
    node->dst_name = sl_cat_belonging(cat, index->table->route, name);
    node->phase = index->direct && !index->partitioned ? SL_PHASE_INDEX : SL_PHASE_POST;
    node->data = index;
    node->emit = emit_index_constraint;
    node->wanted = true;
    sl_cat_edge(cat, node, index->table->node);
    if (!index->direct)
        sl_cat_edge(cat, node, index->node);
    return node;
}

/* "CREATE UNIQUE INDEX name ON ONLY schema.table USING …": the rest after the table's name. */
static const char *definition_tail(sl_cat *cat, const PGresult *row)
{
    size_t head = (size_t)sl_cell_int(row, 0, 4);
    const char *definition = sl_cell(row, 0, 3);
    const char *using = strstr(definition + (head < strlen(definition) ? head : 0), "USING ");
    return sl_arena_strdup(&cat->arena, using ? using : definition);
}

/* The key of a table that is part of a shared one has the source column too. */
static void share_key(sl_cat *cat, cat_index *index, const char *attnums)
{
    const sl_route *route = index->table->route;
    char *columns = sl_cat_column_list(cat, index->table, attnums, "");
    if (!columns)
        return;
    index->definition = sl_sql(&cat->arena, "USING btree (%s, %I)", columns, route->merge_column);
    sl_cat_edge(cat, index->table->attachment, index->constraint);
}

/* A key without the columns that it only carried is still the key. */
static void leave_include_out(sl_cat *cat, cat_index *index, const char *attnums)
{
    char *columns = sl_cat_column_list(cat, index->table, attnums, "");
    if (!columns)
        return;
    index->definition = sl_arena_printf(&cat->arena, "USING btree (%s)", columns);
    index->include = false;
    sl_cat_detail(cat, index->node, "without INCLUDE, which needs PostgreSQL 11");
}

static void index_row(sl_cat *cat, const PGresult *row)
{
    uint32_t oid = sl_cat_oid(row, 0);
    sl_cat_table *table = sl_cat_table_of(cat, sl_cat_oid(row, 1));
    if (!table || sl_cat_find(cat, SL_CLASS_REL, oid))
        return;
    cat_index *index = SL_NEW(&cat->arena, cat_index);
    index->table = table;
    index->name = sl_cat_text(cat, row, 2);
    index->dst_name = sl_cat_belonging(cat, table->route, index->name);
    const sl_renamed *renamed = sl_cat_renamed_route(cat, table->route);
    index->definition = sl_follow(cat, SL_FOLLOW_INDEX, renamed, definition_tail(cat, row), NULL);
    index->unique = sl_cell_bool(row, 0, 5);
    index->primary = sl_cell_bool(row, 0, 6);
    index->partitioned = sl_cat_char(row, 7) == 'I';
    index->include = sl_cell_bool(row, 0, 10);
    index->nulls_not_distinct = sl_cell_bool(row, 0, 11);
    index->statistics = sl_cat_text(cat, row, 12);
    index->on_oid = sl_cell_bool(row, 0, 21);
    index->constraint_definition =
        sl_follow(cat, SL_FOLLOW_CONSTRAINT, renamed, sl_cat_text(cat, row, 16), NULL);
    index->deferrable = sl_cell_bool(row, 0, 17);
    index->deferred = sl_cell_bool(row, 0, 18);
    uint32_t constraint = sl_cat_oid(row, 13);
    index->direct = constraint &&
                    (index->partitioned || sl_cat_char(row, 15) == 'x' || sl_cell_bool(row, 0, 19));
    index->node = add_index_node(cat, index, oid);
    if (constraint && index->include && cat->dst_version < SL_PG_11)
        leave_include_out(cat, index, sl_cell(row, 0, 20));
    if (constraint)
        index->constraint = add_constraint_node(cat, index, constraint, sl_cat_text(cat, row, 14));
    const char *key = table->route->key_index;
    index->node->excludes =
        (index->unique || index->direct) && !(key && strcmp(key, index->name) == 0);
    if (index->constraint)
        index->constraint->excludes = index->direct && index->node->excludes;
    if (index->primary && table->attachment)
        share_key(cat, index, sl_cell(row, 0, 20));
    if (sl_cell_bool(row, 0, 8))
        add_mark(cat, index, "cluster mark");
    if (sl_cell_bool(row, 0, 9))
        add_mark(cat, index, "replica identity");
}

static void index_parent_row(sl_cat *cat, const PGresult *row)
{
    sl_node *child_node = sl_cat_find(cat, SL_CLASS_REL, sl_cat_oid(row, 0));
    sl_node *parent_node = sl_cat_find(cat, SL_CLASS_REL, sl_cat_oid(row, 1));
    if (!child_node || !parent_node || child_node->emit != emit_index ||
        parent_node->emit != emit_index)
        return;
    cat_index *child = child_node->data, *parent = parent_node->data;
    sl_cat_push(cat, &parent->children, &parent->n_children, child);
    sl_cat_edge(cat, parent->constraint ? parent->constraint : parent_node,
                child->constraint ? child->constraint : child_node);
}

sl_rc sl_cat_read_indexes(sl_cat *cat)
{
    char *sql = sl_sql(
        &cat->arena,
        "SELECT i.indexrelid, i.indrelid, c.relname, pg_get_indexdef(i.indexrelid),"
        " octet_length(format('CREATE INDEX %%I ON %%I.%%I ', c.relname, n.nspname, r.relname)),"
        " i.indisunique, i.indisprimary, c.relkind, i.indisclustered, i.indisreplident, %s, %s,"
        " (SELECT string_agg(format('ALTER COLUMN %%s SET STATISTICS %%s', a.attnum,"
        "  a.attstattarget), ', ' ORDER BY a.attnum) FROM pg_attribute a"
        "  WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0),"
        " coalesce(k.oid, 0), k.conname, k.contype, pg_get_constraintdef(k.oid), k.condeferrable,"
        " k.condeferred, %s, k.conkey, %s"
        " FROM unnest(%L::oid[]) s(oid) JOIN pg_index i ON i.indrelid = s.oid"
        " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class r ON r.oid = i.indrelid"
        " JOIN pg_namespace n ON n.oid = r.relnamespace"
        " LEFT JOIN pg_constraint k ON k.conrelid = i.indrelid AND k.conindid = i.indexrelid"
        "  AND k.contype IN ('p', 'u', 'x')"
        " WHERE i.indisready AND (i.indisvalid OR c.relkind = 'I')"
        " ORDER BY i.indrelid, NOT i.indisprimary, c.relname",
        SL_SINCE(cat, SL_PG_11, "i.indnatts > i.indnkeyatts", "false"),
        SL_SINCE(cat, SL_PG_15, "i.indnullsnotdistinct", "false"),
        SL_SINCE(cat, SL_PG_18, "k.conperiod", "false"),
        SL_SINCE(cat, SL_PG_12, "false", "-2 = ANY (i.indkey)"), cat->table_oids);
    sl_rc rc = sl_cat_each(cat, "indexes", sql, index_row);
    if (rc != SL_OK || cat->version < SL_PG_11)
        return rc;
    return sl_cat_each(cat, "partitioned indexes",
                       "SELECT h.inhrelid, h.inhparent FROM pg_inherits h"
                       " JOIN pg_class c ON c.oid = h.inhparent WHERE c.relkind = 'I'"
                       " ORDER BY h.inhparent, h.inhrelid",
                       index_parent_row);
}
