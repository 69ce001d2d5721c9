/* order.c: which objects are wanted, and in which order they can be created.
 *
 * Invariants: an object comes after everything it needs, in its phase or an earlier one; objects
 * that do not depend on each other come by rank and name, so the order is the same in every run.
 * Circles (two functions whose signatures need each other) are broken at the object of least rank.
 * Tables, types and sequences never leave their phase: rows need them. */
#include "schema/internal.h"

#include <stdlib.h>
#include <string.h>

/* Needs that a table's own statement may have. */
static bool may_be_inlined(const sl_node *node, const sl_node *need)
{
    return need->rank <= SL_RANK_TYPE || need->rank == SL_RANK_SEQUENCE ||
           (need->rank == SL_RANK_TABLE && need->route == node->route);
}

static void merge_into_table(sl_cat *cat, sl_node *node, sl_node *table)
{
    for (sl_edge *edge = node->needs; edge; edge = edge->next)
        sl_cat_edge(cat, table, edge->to);
    node->wanted = false;
}

/* Defaults and checks are part of their table unless they need more than it may: then they become
 * objects of their own. Generated columns have no choice. */
void sl_cat_inline(sl_cat *cat)
{
    for (size_t i = 0; i < cat->n_nodes; i++) {
        sl_node *node = cat->nodes[i];
        if (!node->inlined)
            continue;
        sl_cat_table *table = cat->tables[node->route->index];
        bool generated = node->rank == SL_RANK_DEFAULT &&
                         ((const sl_cat_default *)node->data)->column->generated;
        for (sl_edge *edge = node->needs; edge && !generated; edge = edge->next)
            node->inlined &= may_be_inlined(node, edge->to);
        if (node->inlined)
            merge_into_table(cat, node, table->node);
        else if (node->rank == SL_RANK_CHECK && node->data)
            node->wanted = false; /* inherited: the parent's brings it */
        else
            sl_cat_edge(cat, node, table->node);
    }
}

/* Everything that wanted objects need, of the kinds that may be pulled in. */
void sl_cat_close(sl_cat *cat)
{
    sl_node **stack = sl_xmalloc((cat->n_nodes + 1) * sizeof(*stack));
    size_t depth = 0;
    for (size_t i = 0; i < cat->n_nodes; i++)
        if (cat->nodes[i]->wanted)
            stack[depth++] = cat->nodes[i];
    while (depth > 0) {
        const sl_node *node = stack[--depth];
        if (node->unsupported)
            continue;
        for (sl_edge *edge = node->needs; edge; edge = edge->next) {
            if (edge->to->wanted || !edge->to->pullable)
                continue;
            edge->to->wanted = true;
            stack[depth++] = edge->to;
        }
    }
    free(stack);
}

static bool has_fixed_phase(const sl_node *node)
{
    return node->rank == SL_RANK_TABLE || node->rank == SL_RANK_TYPE ||
           node->rank == SL_RANK_SEQUENCE;
}

/* Repeated until nothing moves; objects move at most twice, and only views and what hangs on them
 * do. */
static void settle_phases(sl_cat *cat)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < cat->n_nodes; i++) {
            sl_node *node = cat->nodes[i];
            if (!node->wanted || has_fixed_phase(node))
                continue;
            for (sl_edge *edge = node->needs; edge; edge = edge->next) {
                if (!edge->to->wanted || edge->to->phase <= node->phase)
                    continue;
                node->phase = edge->to->phase;
                moved = true;
            }
        }
    }
}

static int compare(const void *a, const void *b)
{
    const sl_node *x = *(sl_node *const *)a, *y = *(sl_node *const *)b;
    if (x->wanted != y->wanted)
        return x->wanted ? -1 : 1;
    if (x->phase != y->phase)
        return x->phase < y->phase ? -1 : 1;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    int by_name = strcmp(x->identity, y->identity);
    if (by_name)
        return by_name;
    return x->oid < y->oid ? -1 : x->oid > y->oid;
}

/* A binary heap of positions: the least is the next object. */
typedef struct heap {
    size_t *items, n;
} heap;

static void heap_push(heap *h, size_t value)
{
    size_t i = h->n++;
    for (; i > 0 && h->items[(i - 1) / 2] > value; i = (i - 1) / 2)
        h->items[i] = h->items[(i - 1) / 2];
    h->items[i] = value;
}

static size_t heap_pop(heap *h)
{
    size_t least = h->items[0], last = h->items[--h->n], i = 0;
    for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && h->items[child + 1] < h->items[child])
            child++;
        if (h->items[child] >= last)
            break;
        h->items[i] = h->items[child];
    }
    h->items[i] = last;
    return least;
}

static void count_blockers(sl_cat *cat, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sl_node *node = cat->nodes[i];
        node->position = i;
        for (sl_edge *edge = node->needs; edge; edge = edge->next) {
            if (!edge->to->wanted || edge->to->phase != node->phase)
                continue;
            sl_edge *back = SL_NEW(&cat->arena, sl_edge);
            back->to = node;
            back->next = edge->to->needed_by;
            edge->to->needed_by = back;
            node->blockers++;
        }
    }
}

size_t sl_cat_order(sl_cat *cat)
{
    settle_phases(cat);
    qsort(cat->nodes, cat->n_nodes, sizeof(*cat->nodes), compare);
    size_t n = 0, done = 0, next = 0;
    while (n < cat->n_nodes && cat->nodes[n]->wanted)
        n++;
    count_blockers(cat, n);
    heap ready = { sl_xmalloc((n + 1) * sizeof(size_t)), 0 };
    sl_node **sorted = sl_xmalloc((n + 1) * sizeof(*sorted));
    for (size_t i = 0; i < n; i++)
        if (cat->nodes[i]->blockers == 0)
            heap_push(&ready, i);
    while (done < n) {
        if (ready.n == 0) { /* a circle: the first object that waits goes ahead */
            while (cat->nodes[next]->mark || cat->nodes[next]->blockers == 0)
                next++;
            cat->nodes[next]->blockers = 0;
            heap_push(&ready, next);
        }
        sl_node *node = cat->nodes[heap_pop(&ready)];
        node->mark = 1;
        sorted[done++] = node;
        for (sl_edge *edge = node->needed_by; edge; edge = edge->next)
            if (edge->to->blockers > 0 && --edge->to->blockers == 0)
                heap_push(&ready, edge->to->position);
    }
    memcpy(cat->nodes, sorted, n * sizeof(*sorted));
    free(sorted);
    free(ready.items);
    return n;
}
