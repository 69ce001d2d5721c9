/* left_out.c: columns that are not selected, and what cannot be made without them.
 *
 * The server's dependencies say which objects use a column: indexes, constraints, views, rules,
 * triggers, policies, statistics. Those are left out with the column's name as the reason, and so
 * is what needs them (a view over such a view). Defaults and sequences of the column go silently:
 * they are parts of it. */
#include "schema/internal.h"

#include <string.h>

#include "spec/columns.h"

static void leave_out(sl_node *node, const char *reason)
{
    if (node->unsupported || node->rank == SL_RANK_TABLE || node->rank == SL_RANK_TYPE)
        return;
    node->unsupported = reason;
    node->left_out = true;
    node->inlined = false;
}

static void user_row(sl_cat *cat, const PGresult *row)
{
    sl_node *node = sl_cat_find(cat, sl_cat_oid(row, 0), sl_cat_oid(row, 1));
    const sl_route *route = sl_route_by_oid(cat->routes, sl_cat_oid(row, 2));
    const sl_left_out *column =
        route ? sl_column_left_out(route, (int)sl_cell_int(row, 0, 3)) : NULL;
    if (!node || !column || !cat->tables[route->index])
        return;
    if (node->rank == SL_RANK_SEQUENCE) { /* owned by the column; a default elsewhere pulls it */
        node->wanted = false;
        return;
    }
    leave_out(node, sl_arena_printf(cat->out, "it uses column %s of %s, which is not selected",
                                    column->name, sl_route_label(route, &cat->arena)));
}

/* Until nothing moves: chains of views are short. */
static void spread(sl_cat *cat)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < cat->n_nodes; i++) {
            sl_node *node = cat->nodes[i];
            if (node->unsupported || node->rank == SL_RANK_TABLE)
                continue;
            for (const sl_edge *edge = node->needs; edge && !node->unsupported; edge = edge->next)
                if (edge->to->left_out)
                    leave_out(node, sl_arena_printf(cat->out, "it needs %s %s, which is left out",
                                                    edge->to->kind, edge->to->identity));
            moved |= node->unsupported != NULL;
        }
    }
}

sl_rc sl_cat_leave_out(sl_cat *cat)
{
    size_t n = 0;
    SL_BUF(oids);
    sl_array_start(&oids);
    for (size_t i = 0; i < cat->routes->n; i++) {
        if (cat->routes->items[i].n_left_out == 0)
            continue;
        sl_array_add_oid(&oids, cat->routes->items[i].oid);
        n++;
    }
    sl_array_end(&oids);
    if (n == 0)
        return SL_OK;
    /* The index behind a constraint is an object of its own, which depends on the constraint. */
    const char *sql = sl_sql(
        &cat->arena,
        "WITH users AS (SELECT d.classid, d.objid, d.refobjid, d.refobjsubid"
        " FROM unnest(%L::oid[]) s(oid) JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass"
        " AND d.refobjid = s.oid AND d.refobjsubid > 0 AND d.objid >= 16384)"
        " SELECT * FROM users UNION SELECT 'pg_class'::regclass, k.conindid, u.refobjid,"
        " u.refobjsubid FROM users u JOIN pg_constraint k ON u.classid = 'pg_constraint'::regclass"
        " AND k.oid = u.objid AND k.contype IN ('p', 'u', 'x')",
        oids.data);
    sl_rc rc = sl_cat_each(cat, "what uses the columns that are left out", sql, user_row);
    if (rc == SL_OK)
        spread(cat);
    return rc;
}
