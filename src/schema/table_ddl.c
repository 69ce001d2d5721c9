/* table_ddl.c: CREATE TABLE and what follows it in the same transaction.
 *
 * Partitions are made as tables of their own with every column and constraint, then attached: so
 * their columns keep their order and their names. Inherited tables name only what is theirs, as the
 * server then counts inheritance as on the source. Defaults and checks that need a function are
 * objects of their own (order.c), so that a missing function costs the default, not the table. */
#include "schema/internal.h"

#include <string.h>

static bool is_partition(const sl_cat_table *table)
{
    return table->bound && table->n_parents > 0;
}

/* A table whose inherited columns are all its own too was probably made first and put under its
 * parent later; so is its copy, which keeps the order of its columns. */
static bool inherits_later(const sl_cat_table *table)
{
    if (is_partition(table) || table->n_parents == 0 || table->inherited_checks || table->of_type)
        return false;
    for (size_t i = 0; i < table->n_columns; i++)
        if (!table->columns[i].is_local ||
            (table->columns[i].not_null_name && !table->columns[i].not_null_local))
            return false;
    return true;
}

/* Is the column written in the list, or does it come from a parent? */
static bool is_listed(const sl_cat_table *table, const sl_cat_column *column)
{
    if (!column->dst)
        return false;
    return column->is_local || column->inherited == 0 || is_partition(table) ||
           table->n_parents == 0 || table->flattened;
}

static const sl_cat_column *same_column(const sl_cat_table *table, const char *name)
{
    for (size_t i = 0; i < table->n_columns; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return &table->columns[i];
    return NULL;
}

static bool parent_has_not_null(const sl_cat_table *table, const sl_cat_column *column)
{
    for (size_t i = 0; i < table->n_parents; i++) {
        const sl_cat_column *theirs = same_column(table->parents[i], column->name);
        if (theirs && theirs->not_null && !theirs->not_null_no_inherit)
            return true;
    }
    return false;
}

/* Does the column's NOT NULL have to be written, or does a parent bring it? */
static bool needs_not_null(const sl_cat_table *table, const sl_cat_column *column)
{
    if (!column->not_null || column->not_null_invalid)
        return false;
    if (is_partition(table) || table->n_parents == 0 || inherits_later(table))
        return true;
    return column->not_null_name ? column->not_null_local : !parent_has_not_null(table, column);
}

static void add_not_null(sl_cat *cat, sl_buf *sql, const sl_cat_table *table,
                         const sl_cat_column *column)
{
    bool native = cat->dst_version >= SL_PG_18;
    if (native && column->not_null_name)
        sl_sql_add(sql, " CONSTRAINT %I", column->not_null_name);
    sl_buf_puts(sql, " NOT NULL");
    if (!column->not_null_no_inherit)
        return;
    if (native)
        sl_buf_puts(sql, " NO INHERIT");
    else
        sl_cat_detail(cat, table->node, "NOT NULL of %s: NO INHERIT needs PostgreSQL 18",
                      column->name);
}

/* An identity column of a destination that knows none: a sequence of the same name and settings,
 * made before the table. */
static bool becomes_serial(const sl_cat *cat, const sl_cat_column *column)
{
    return column->identity && column->sequence && column->dst && cat->dst_version < SL_PG_10;
}

static void add_serials(sl_cat *cat, sl_buf *sql, const sl_cat_table *table)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        const sl_cat_sequence *seq = table->columns[i].sequence;
        if (!becomes_serial(cat, &table->columns[i]))
            continue;
        sl_sql_add(sql, "CREATE SEQUENCE %s", sl_cat_name(cat, seq->schema, seq->name));
        sl_cat_sequence_options(cat, sql, seq);
        sl_buf_puts(sql, ";\n");
        sl_cat_detail(cat, table->node, "%s has a default: identity needs PostgreSQL 10",
                      table->columns[i].name);
    }
}

static void add_identity(sl_cat *cat, sl_buf *sql, const sl_cat_column *column)
{
    if (becomes_serial(cat, column)) {
        const sl_cat_sequence *seq = column->sequence;
        sl_sql_add(sql, " DEFAULT pg_catalog.nextval(%L)",
                   sl_cat_name(cat, seq->schema, seq->name));
        return;
    }
    sl_sql_add(sql, " GENERATED %s AS IDENTITY", column->identity == 'a' ? "ALWAYS" : "BY DEFAULT");
    if (!column->sequence)
        return;
    sl_sql_add(sql, " (SEQUENCE NAME %s",
               sl_cat_name(cat, column->sequence->schema, column->sequence->name));
    sl_cat_sequence_options(cat, sql, column->sequence);
    sl_buf_putc(sql, ')');
}

/* An inherited generated column takes its parent's expression; before 16 it may not repeat it. */
static bool generated_by_parent(const sl_cat *cat, const sl_cat_table *table,
                                const sl_cat_column *column)
{
    const sl_cat_default *own = column->default_node->data;
    if (is_partition(table) || inherits_later(table))
        return false;
    for (size_t i = 0; i < table->n_parents; i++) {
        const sl_cat_column *theirs = same_column(table->parents[i], column->name);
        if (!theirs || !theirs->generated || !theirs->default_node)
            continue;
        const sl_cat_default *other = theirs->default_node->data;
        if (cat->dst_version < SL_PG_16 || strcmp(own->expression, other->expression) == 0)
            return true;
    }
    return false;
}

static void add_generated(sl_cat *cat, sl_buf *sql, const sl_cat_table *table,
                          const sl_cat_column *column, const char *expression)
{
    bool is_virtual = column->generated == 'v' && cat->dst_version >= SL_PG_18;
    if (column->generated == 'v' && !is_virtual)
        sl_cat_detail(cat, table->node,
                      "generated column %s is stored: virtual needs PostgreSQL 18", column->name);
    if (cat->dst_version < SL_PG_12 && !table->node->unsupported)
        table->node->unsupported =
            sl_arena_printf(cat->out, "its column %s is generated, which needs PostgreSQL 12",
                            column->name);
    sl_sql_add(sql, " GENERATED ALWAYS AS (%s) %s", expression, is_virtual ? "VIRTUAL" : "STORED");
}

/* From 17 on a partition's identity comes with ATTACH and must not be there before; on a 17 source
 * it has no sequence of its own. */
static bool identity_comes_with_parent(const sl_cat *cat, const sl_cat_table *table,
                                       const sl_cat_column *column)
{
    return is_partition(table) && (cat->dst_version >= SL_PG_17 || !column->sequence);
}

static void add_column(sl_cat *cat, sl_buf *sql, const sl_cat_table *table,
                       const sl_cat_column *column)
{
    static const struct {
        char code;
        const char *name;
    } compressions[] = { { 'p', "pglz" }, { 'l', "lz4" } };
    const sl_node *expression = column->default_node;
    if (table->of_type)
        sl_sql_add(sql, "\n    %I WITH OPTIONS", column->dst);
    else
        sl_sql_add(sql, "\n    %I %s", column->dst, column->type);
    for (size_t i = 0; i < 2 && !table->of_type; i++) {
        if (column->compression != compressions[i].code)
            continue;
        if (cat->dst_version >= SL_PG_14)
            sl_sql_add(sql, " COMPRESSION %s", compressions[i].name);
        else
            sl_cat_detail(cat, table->node, "compression of %s needs PostgreSQL 14", column->name);
    }
    if (column->collation && !table->of_type)
        sl_sql_add(sql, " COLLATE %s", column->collation);
    if (expression && expression->inlined) {
        const sl_cat_default *data = expression->data;
        if (column->generated && !generated_by_parent(cat, table, column))
            add_generated(cat, sql, table, column, data->expression);
        else if (!column->generated)
            sl_sql_add(sql, " DEFAULT %s", data->expression);
    }
    if (column->identity && table->route->merge_table)
        sl_cat_detail(cat, table->node,
                      "%s is no identity: the shared table's partitions have none", column->name);
    else if (column->identity && !identity_comes_with_parent(cat, table, column))
        add_identity(cat, sql, column);
    if (needs_not_null(table, column))
        add_not_null(cat, sql, table, column);
}

static bool of_type_needs(const sl_cat_table *table, const sl_cat_column *column)
{
    const sl_node *expression = column->default_node;
    return needs_not_null(table, column) || column->identity || (expression && expression->inlined);
}

/* An inherited column's own NOT NULL constraint, by name. Afterwards would be too late where the
 * parent has one too: it would have brought its own name. */
static bool names_inherited_not_null(const sl_cat *cat, const sl_cat_table *table,
                                     const sl_cat_column *column)
{
    return column->dst && !is_listed(table, column) && column->not_null_name &&
           cat->dst_version >= SL_PG_18 && needs_not_null(table, column);
}

/* Columns, then the constraints that are written with the table. */
static void add_elements(sl_cat *cat, sl_buf *sql, const sl_cat_table *table)
{
    size_t n = 0;
    SL_BUF(list);
    for (size_t i = 0; i < table->n_columns; i++) {
        const sl_cat_column *column = &table->columns[i];
        if (!is_listed(table, column) || (table->of_type && !of_type_needs(table, column)))
            continue;
        sl_buf_puts(&list, n++ ? "," : "");
        add_column(cat, &list, table, column);
    }
    for (size_t i = 0; i < table->n_columns; i++) {
        const sl_cat_column *column = &table->columns[i];
        if (names_inherited_not_null(cat, table, column))
            sl_sql_add(&list, "%s\n    CONSTRAINT %I NOT NULL %I%s", n++ ? "," : "",
                       column->not_null_name, column->dst,
                       column->not_null_no_inherit ? " NO INHERIT" : "");
    }
    for (size_t i = 0; i < table->n_checks; i++) {
        if (!table->checks[i]->inlined)
            continue;
        const char *definition = table->checks[i]->sql;
        sl_sql_add(&list, "%s\n    CONSTRAINT %I %s", n++ ? "," : "", table->checks[i]->dst_name,
                   definition);
    }
    if (table->route->merge_table)
        sl_cat_shared_elements(cat, &list, table, n++);
    if (n > 0 || !table->of_type)
        sl_sql_add(sql, " (%s\n)", sl_buf_str(&list));
}

static void add_create(sl_cat *cat, sl_buf *sql, const sl_cat_table *table, const char *name)
{
    bool unlogged =
        table->persistence == 'u' && (table->relkind != 'p' || cat->dst_version < SL_PG_18);
    if (table->route->merge_table)
        sl_cat_shared_head(cat, sql, table);
    add_serials(cat, sql, table);
    sl_sql_add(sql, "CREATE %sTABLE %s", unlogged ? "UNLOGGED " : "", name);
    if (table->of_type)
        sl_sql_add(sql, " OF %s", table->of_type);
    add_elements(cat, sql, table);
    if (table->n_parents > 0 && !is_partition(table) && !inherits_later(table)) {
        sl_buf_puts(sql, "\nINHERITS (");
        for (size_t i = 0; i < table->n_parents; i++)
            sl_sql_add(sql, "%s%s", i ? ", " : "",
                       sl_route_dst_sql(table->parents[i]->route, &cat->arena));
        sl_buf_putc(sql, ')');
    }
    if (table->part_key)
        sl_sql_add(sql, "\nPARTITION BY %s", table->part_key);
    if (table->method && strcmp(table->method, "heap") != 0)
        sl_cat_detail(cat, table->node,
                      "access method %s is not used: the destination's default is", table->method);
    if (table->options || table->toast_options) {
        sl_sql_add(sql, "\nWITH (%s", table->options ? table->options : "");
        sl_sql_add(sql, "%s%s)", table->options && table->toast_options ? ", " : "",
                   table->toast_options ? table->toast_options : "");
    }
    if (table->dropped_options)
        sl_cat_detail(cat, table->node, "left out, as the destination does not know it: %s",
                      table->dropped_options);
    sl_buf_puts(sql, ";\n");
}

/* What an inherited column has that its parent's has not. */
static void add_inherited_changes(sl_cat *cat, sl_buf *sql, const sl_cat_table *table,
                                  const char *name, const sl_cat_column *column)
{
    const sl_node *expression = column->default_node;
    bool parent_default = false;
    for (size_t i = 0; i < table->n_parents; i++) {
        const sl_cat_column *theirs = same_column(table->parents[i], column->name);
        parent_default |= theirs && theirs->default_node && !theirs->generated;
    }
    SL_BUF(alter);
    sl_sql_add(&alter, "ALTER TABLE ONLY %s ALTER COLUMN %I", name, column->dst);
    if (expression && expression->inlined && !column->generated)
        sl_sql_add(sql, "%s SET DEFAULT %s;\n", sl_buf_str(&alter),
                   ((const sl_cat_default *)expression->data)->expression);
    else if (!expression && parent_default)
        sl_sql_add(sql, "%s DROP DEFAULT;\n", sl_buf_str(&alter));
    if (needs_not_null(table, column) && !names_inherited_not_null(cat, table, column))
        sl_sql_add(sql, "%s SET NOT NULL;\n", sl_buf_str(&alter));
    if (column->identity && column->sequence) {
        sl_sql_add(sql, "%s %s", sl_buf_str(&alter), becomes_serial(cat, column) ? "SET" : "ADD");
        add_identity(cat, sql, column);
        sl_buf_puts(sql, ";\n");
    }
}

/* An identity column's sequence is logged as its table is, unless somebody said otherwise. */
static void add_identity_logging(sl_cat *cat, sl_buf *sql, const sl_cat_table *table,
                                 const sl_cat_column *column)
{
    const sl_cat_sequence *seq = column->identity ? column->sequence : NULL;
    if (seq && cat->version >= SL_PG_15 && cat->dst_version >= SL_PG_15 &&
        !identity_comes_with_parent(cat, table, column) && !table->route->merge_table &&
        seq->unlogged != (table->persistence == 'u'))
        sl_sql_add(sql, "ALTER SEQUENCE %s SET %s;\n", sl_cat_name(cat, seq->schema, seq->name),
                   seq->unlogged ? "UNLOGGED" : "LOGGED");
}

static void add_column_settings(sl_cat *cat, sl_buf *sql, const sl_cat_table *table,
                                const char *name, const sl_cat_column *column)
{
    static const char *const storages[] = {
        ['p'] = "PLAIN", ['e'] = "EXTERNAL", ['x'] = "EXTENDED", ['m'] = "MAIN"
    };
    SL_BUF(alter);
    sl_sql_add(&alter, "ALTER TABLE ONLY %s ALTER COLUMN %I SET", name, column->dst);
    unsigned char storage = (unsigned char)column->storage;
    if (storage && storage <= 'x' && storages[storage])
        sl_sql_add(sql, "%s STORAGE %s;\n", sl_buf_str(&alter), storages[storage]);
    if (column->statistics)
        sl_sql_add(sql, "%s STATISTICS %s;\n", sl_buf_str(&alter), column->statistics);
    if (column->options)
        sl_sql_add(sql, "%s (%s);\n", sl_buf_str(&alter), column->options);
    if (column->not_null_invalid && cat->dst_version >= SL_PG_18)
        sl_sql_add(sql, "ALTER TABLE %s ADD CONSTRAINT %I NOT NULL %I NOT VALID;\n", name,
                   column->not_null_name, column->dst);
    if (column->not_null_comment && cat->dst_version >= SL_PG_18)
        sl_sql_add(sql, "COMMENT ON CONSTRAINT %I ON %s IS %L;\n", column->not_null_name, name,
                   column->not_null_comment);
    sl_cat_add_comment(cat, sql, SL_CLASS_REL, table->node->oid, column->attnum,
                       sl_sql(&cat->arena, "COLUMN %s.%I", name, column->dst));
}

static void add_after(sl_cat *cat, sl_buf *sql, const sl_cat_table *table, const char *name)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        const sl_cat_column *column = &table->columns[i];
        if (!column->dst)
            continue;
        if (!is_listed(table, column))
            add_inherited_changes(cat, sql, table, name, column);
        add_identity_logging(cat, sql, table, column);
        if (becomes_serial(cat, column))
            sl_sql_add(sql, "ALTER SEQUENCE %s OWNED BY %s.%I;\n",
                       sl_cat_name(cat, column->sequence->schema, column->sequence->name), name,
                       column->dst);
        add_column_settings(cat, sql, table, name, column);
    }
    for (size_t i = 0; i < table->n_owned; i++) {
        const sl_cat_sequence *seq = table->owned[i];
        const sl_cat_column *column = sl_cat_column_of(table, seq->owner_attnum);
        if (column && column->dst && seq->node && seq->node->wanted)
            sl_sql_add(sql, "ALTER SEQUENCE %s OWNED BY %s.%I;\n",
                       sl_cat_name(cat, seq->schema, seq->name), name, column->dst);
    }
    for (size_t i = 0; i < table->n_parents && inherits_later(table); i++)
        sl_sql_add(sql, "ALTER TABLE ONLY %s INHERIT %s;\n", name,
                   sl_route_dst_sql(table->parents[i]->route, &cat->arena));
    if (is_partition(table))
        sl_sql_add(sql, "ALTER TABLE ONLY %s ATTACH PARTITION %s %s;\n",
                   sl_route_dst_sql(table->parents[0]->route, &cat->arena), name, table->bound);
    if (table->route->merge_table)
        sl_cat_shared_after(cat, sql, table);
    if (table->replica_identity == 'f' || table->replica_identity == 'n')
        sl_sql_add(sql, "ALTER TABLE ONLY %s REPLICA IDENTITY %s;\n", name,
                   table->replica_identity == 'f' ? "FULL" : "NOTHING");
    sl_cat_add_comment(cat, sql, SL_CLASS_REL, table->node->oid, 0,
                       sl_sql(&cat->arena, "TABLE %s", name));
    for (size_t i = 0; i < table->n_checks; i++)
        if (table->checks[i]->inlined)
            sl_cat_add_comment(cat, sql, SL_CLASS_CONSTRAINT, table->checks[i]->oid, 0,
                               sl_sql(&cat->arena, "CONSTRAINT %I ON %s",
                                      table->checks[i]->dst_name, name));
}

void sl_cat_emit_table(sl_cat *cat, sl_node *node)
{
    SL_BUF(sql);
    SL_BUF(after);
    const sl_cat_table *table = node->data;
    const char *name = sl_route_dst_sql(table->route, &cat->arena);
    add_create(cat, &sql, table, name);
    add_after(cat, &after, table, name);
    bool hash = (table->part_key && strncmp(table->part_key, "HASH", 4) == 0) ||
                (table->bound && strstr(table->bound, "(modulus "));
    bool is_default = table->bound && strcmp(table->bound, "DEFAULT") == 0;
    if ((hash || is_default) && cat->dst_version < SL_PG_11)
        node->unsupported =
            hash ? "hash partitions need PostgreSQL 11" : "default partitions need PostgreSQL 11";
    if ((table->part_key || table->bound) && cat->dst_version < SL_PG_10)
        node->unsupported = "partitions need PostgreSQL 10";
    node->sql = sl_cat_keep(cat, &sql);
    node->after_sql = sl_cat_keep(cat, &after);
}

void sl_cat_emit_default(sl_cat *cat, sl_node *node)
{
    const sl_cat_default *data = node->data;
    node->sql = sl_sql(cat->out, "ALTER TABLE ONLY %s ALTER COLUMN %I SET DEFAULT %s;",
                       sl_route_dst_sql(data->table->route, &cat->arena), data->column->dst,
                       data->expression);
}
