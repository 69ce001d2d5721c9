/* constraints.c: check constraints and foreign keys.
 *
 * Checks are written with their table (their text waits in node->sql until then), except those that
 * need a function, which order.c makes objects of their own, and those that the source has not
 * validated, which come after the rows. Foreign keys are added NOT VALID and validated in a
 * transaction of their own, where the server can; names of columns and of the referenced table are
 * the routes'. Primary keys, unique and exclusion constraints are in indexes.c. */
#include "schema/follow.h"

#include <string.h>

static sl_node *add_constraint(sl_cat *cat, const sl_cat_table *table, const PGresult *row,
                               sl_rank rank)
{
    const char *name = sl_cat_text(cat, row, 2);
    sl_node *node = sl_cat_add_on(cat, SL_CLASS_CONSTRAINT, sl_cat_oid(row, 0), rank, "constraint",
                                  table, name);
    node->dst_name = sl_cat_belonging(cat, table->route, name);
    node->wanted = true;
    return node;
}

static void add_constraint_comment(sl_cat *cat, sl_node *node)
{
    SL_BUF(after);
    sl_cat_add_comment(cat, &after, SL_CLASS_CONSTRAINT, node->oid, 0,
                       sl_sql(&cat->arena, "CONSTRAINT %I ON %s", node->dst_name,
                              sl_route_dst_sql(node->route, &cat->arena)));
    node->after_sql = sl_cat_keep(cat, &after);
}

/* --- checks --- */

static void emit_check(sl_cat *cat, sl_node *node)
{
    node->sql = sl_sql(cat->out, "ALTER TABLE %s ADD CONSTRAINT %I %s;",
                       sl_route_dst_sql(node->route, &cat->arena), node->dst_name, node->sql);
    add_constraint_comment(cat, node);
}

static void check_row(sl_cat *cat, const PGresult *row)
{
    sl_cat_table *table = sl_cat_table_of(cat, sl_cat_oid(row, 1));
    if (!table)
        return;
    bool is_local = sl_cell_bool(row, 0, 3), validated = sl_cell_bool(row, 0, 4);
    bool partition = table->bound && table->n_parents > 0;
    bool inherited = !is_local && table->n_parents > 0 && !table->flattened;
    table->inherited_checks |= inherited;
    if (inherited && !(partition && validated)) {
        sl_cat_alias(cat, SL_CLASS_CONSTRAINT, sl_cat_oid(row, 0), table->node);
        return;
    }
    sl_node *node = add_constraint(cat, table, row, SL_RANK_CHECK);
    const char *why = NULL;
    node->sql = sl_follow(cat, SL_FOLLOW_CONSTRAINT, sl_cat_renamed_route(cat, table->route),
                          sl_cat_text(cat, row, 5), &why);
    node->inlined = validated;
    node->phase = validated ? SL_PHASE_PRE : SL_PHASE_POST;
    node->emit = emit_check;
    node->data =
        inherited ? table : NULL; /* it comes with the parent's, if that is its own object */
    if (!sl_cell_bool(row, 0, 6) && cat->dst_version < SL_PG_18)
        node->unsupported = "NOT ENFORCED needs PostgreSQL 18";
    else
        node->unsupported = why;
    if (node->unsupported)
        node->inlined = false;
    sl_cat_push(cat, &table->checks, &table->n_checks, node);
}

/* --- foreign keys --- */

typedef struct foreign_key {
    const sl_cat_table *table, *parent;
    const char *columns, *parent_columns, *set_columns; /* attnums */
    const char *parent_name;
    char match, on_update, on_delete;
    bool deferrable, deferred, validated, enforced, period;
} foreign_key;

static const char *action_name(char code)
{
    static const char *const names[] = {
        ['r'] = "RESTRICT", ['c'] = "CASCADE", ['n'] = "SET NULL", ['d'] = "SET DEFAULT"
    };
    unsigned char i = (unsigned char)code;
    return i < sizeof(names) / sizeof(names[0]) ? names[i] : NULL;
}

static const char *foreign_key_obstacle(const sl_cat *cat, const foreign_key *fk)
{
    if (fk->table->relkind == 'p' && cat->dst_version < SL_PG_11)
        return "foreign keys of partitioned tables need PostgreSQL 11";
    if (fk->parent->relkind == 'p' && cat->dst_version < SL_PG_12)
        return "foreign keys to partitioned tables need PostgreSQL 12";
    if (fk->set_columns && cat->dst_version < SL_PG_15)
        return "ON DELETE SET with a column list needs PostgreSQL 15";
    if ((fk->period || !fk->enforced) && cat->dst_version < SL_PG_18)
        return fk->period ? "PERIOD needs PostgreSQL 18" : "NOT ENFORCED needs PostgreSQL 18";
    return NULL;
}

static void add_actions(sl_cat *cat, sl_buf *sql, const foreign_key *fk)
{
    if (fk->match == 'f')
        sl_buf_puts(sql, " MATCH FULL");
    if (action_name(fk->on_update))
        sl_sql_add(sql, " ON UPDATE %s", action_name(fk->on_update));
    if (action_name(fk->on_delete))
        sl_sql_add(sql, " ON DELETE %s", action_name(fk->on_delete));
    if (fk->set_columns)
        sl_sql_add(sql, " (%s)", sl_cat_column_list(cat, fk->table, fk->set_columns, ""));
    if (fk->deferrable)
        sl_sql_add(sql, " DEFERRABLE%s", fk->deferred ? " INITIALLY DEFERRED" : "");
    if (!fk->enforced)
        sl_buf_puts(sql, " NOT ENFORCED");
}

/* Between tables that are merged the key has the source column too; from others it cannot be. */
static const char *share_columns(sl_cat *cat, const foreign_key *fk, const char **columns,
                                 const char **theirs)
{
    const sl_route *own = fk->table->route, *parent = fk->parent->route;
    if (!parent->merge_table)
        return NULL;
    if (!own->merge_table)
        return "its parent is merged into a table that other sources share, and it is not";
    if (fk->match == 'f' || action_name(fk->on_update) || strchr("nd", fk->on_delete))
        return "its kind cannot be kept between tables that are merged";
    *columns = sl_sql(&cat->arena, "%s, %I", *columns, own->merge_column);
    *theirs = sl_sql(&cat->arena, "%s, %I", *theirs, parent->merge_column);
    return NULL;
}

static void emit_foreign_key(sl_cat *cat, sl_node *node)
{
    const foreign_key *fk = node->data;
    if (!fk->parent) {
        node->unsupported =
            sl_arena_printf(cat->out, "it references %s, which is not selected", fk->parent_name);
        return;
    }
    const char *period = fk->period ? "PERIOD " : ""; /* before the last column of a temporal key */
    const char *columns = sl_cat_column_list(cat, fk->table, fk->columns, period);
    const char *theirs = sl_cat_column_list(cat, fk->parent, fk->parent_columns, period);
    node->unsupported =
        columns && theirs ? foreign_key_obstacle(cat, fk) : "it uses a column that is not selected";
    if (!node->unsupported)
        node->unsupported = share_columns(cat, fk, &columns, &theirs);
    if (node->unsupported)
        return;
    SL_BUF(sql);
    const char *name = sl_route_dst_sql(node->route, &cat->arena);
    bool partitioned = fk->table->relkind == 'p';
    bool any_partitioned = partitioned || fk->parent->relkind == 'p';
    bool later = fk->enforced && (!any_partitioned || cat->dst_version >= SL_PG_18);
    sl_sql_add(&sql, "ALTER TABLE %s%s ADD CONSTRAINT %I FOREIGN KEY (%s) REFERENCES %s (%s)",
               partitioned ? "" : "ONLY ", name, node->dst_name, columns,
               sl_route_dst_sql(fk->parent->route, &cat->arena), theirs);
    add_actions(cat, &sql, fk);
    sl_sql_add(&sql, "%s;", later ? " NOT VALID" : "");
    node->sql = sl_cat_keep(cat, &sql);
    if (later && fk->validated)
        node->validate_sql =
            sl_sql(cat->out, "ALTER TABLE %s VALIDATE CONSTRAINT %I;", name, node->dst_name);
    add_constraint_comment(cat, node);
}

static void foreign_key_row(sl_cat *cat, const PGresult *row)
{
    sl_cat_table *table = sl_cat_table_of(cat, sl_cat_oid(row, 1));
    if (!table)
        return;
    foreign_key *fk = SL_NEW(&cat->arena, foreign_key);
    fk->table = table;
    fk->validated = sl_cell_bool(row, 0, 3);
    fk->parent = sl_cat_table_of(cat, sl_cat_oid(row, 4));
    fk->parent_name = sl_cat_text(cat, row, 5);
    fk->columns = sl_cat_text(cat, row, 6);
    fk->parent_columns = sl_cat_text(cat, row, 7);
    fk->match = sl_cat_char(row, 8);
    fk->on_update = sl_cat_char(row, 9);
    fk->on_delete = sl_cat_char(row, 10);
    fk->deferrable = sl_cell_bool(row, 0, 11);
    fk->deferred = sl_cell_bool(row, 0, 12);
    fk->set_columns = sl_cat_text(cat, row, 13);
    fk->period = sl_cell_bool(row, 0, 14);
    fk->enforced = sl_cell_bool(row, 0, 15);
    sl_node *node = add_constraint(cat, table, row, SL_RANK_FOREIGN_KEY);
    node->phase = SL_PHASE_POST;
    node->data = fk;
    node->emit = emit_foreign_key;
}

sl_rc sl_cat_read_constraints(sl_cat *cat)
{
    const char *from = sl_sql(&cat->arena,
                              " FROM unnest(%L::oid[]) s(oid)"
                              " JOIN pg_constraint c ON c.conrelid = s.oid",
                              cat->table_oids);
    const char *enforced = SL_SINCE(cat, SL_PG_18, "c.conenforced", "true");
    sl_rc rc = sl_cat_each(
        cat, "check constraints",
        sl_sql(&cat->arena,
               "SELECT c.oid, c.conrelid, c.conname, c.conislocal, c.convalidated OR NOT %s,"
               " pg_get_constraintdef(c.oid), %s%s"
               " WHERE c.contype = 'c' ORDER BY c.conrelid, c.conname",
               enforced, enforced, from),
        check_row);
    if (rc != SL_OK)
        return rc;
    return sl_cat_each(
        cat, "foreign keys",
        sl_sql(&cat->arena,
               "SELECT c.oid, c.conrelid, c.conname, c.convalidated, c.confrelid,"
               " c.confrelid::regclass, c.conkey, c.confkey, c.confmatchtype, c.confupdtype,"
               " c.confdeltype, c.condeferrable, c.condeferred, %s, %s, %s%s"
               " WHERE c.contype = 'f'%s ORDER BY c.conrelid, c.conname",
               SL_SINCE(cat, SL_PG_15, "c.confdelsetcols", "NULL"),
               SL_SINCE(cat, SL_PG_18, "c.conperiod", "false"), enforced, from,
               SL_SINCE(cat, SL_PG_11, " AND c.conparentid = 0", "")),
        foreign_key_row);
}
