/* types.c: the whitelist of types whose binary form is the same on every server. */
#include "pg/types.h"

#include <stddef.h>

/* oid, array type, proven. Source: pg_type.dat; the binary forms are those of the *_send functions,
 * unchanged from 10 to 18 for these. Not proven on purpose: money (depends on nothing but has no
 * use), xml (carries an encoding declaration), reg* and oidvector-like types (OIDs differ),
 * tsvector and tsquery (text is cheap enough), record. */
static const struct fact {
    uint32_t oid, array;
    bool proven;
} facts[] = {
    { 16, 1000, true },    /* bool */
    { 17, 1001, true },    /* bytea */
    { 18, 1002, true },    /* "char" */
    { 19, 1003, true },    /* name */
    { 20, 1016, true },    /* int8 */
    { 21, 1005, true },    /* int2 */
    { 23, 1007, true },    /* int4 */
    { 25, 1009, true },    /* text */
    { 26, 1028, true },    /* oid */
    { 114, 199, true },    /* json */
    { 142, 143, false },   /* xml */
    { 600, 1017, true },   /* point */
    { 601, 1018, true },   /* lseg */
    { 602, 1019, true },   /* path */
    { 603, 1020, true },   /* box */
    { 604, 1027, true },   /* polygon */
    { 628, 629, true },    /* line */
    { 650, 651, true },    /* cidr */
    { 700, 1021, true },   /* float4 */
    { 701, 1022, true },   /* float8 */
    { 718, 719, true },    /* circle */
    { 774, 775, true },    /* macaddr8 */
    { 790, 791, false },   /* money */
    { 829, 1040, true },   /* macaddr */
    { 869, 1041, true },   /* inet */
    { 1042, 1014, true },  /* bpchar */
    { 1043, 1015, true },  /* varchar */
    { 1082, 1182, true },  /* date */
    { 1083, 1183, true },  /* time */
    { 1114, 1115, true },  /* timestamp */
    { 1184, 1185, true },  /* timestamptz */
    { 1186, 1187, true },  /* interval */
    { 1266, 1270, true },  /* timetz */
    { 1560, 1561, true },  /* bit */
    { 1562, 1563, true },  /* varbit */
    { 1700, 1231, true },  /* numeric */
    { 2950, 2951, true },  /* uuid */
    { 3220, 3221, true },  /* pg_lsn */
    { 3614, 3643, false }, /* tsvector */
    { 3615, 3645, false }, /* tsquery */
    { 3802, 3807, true },  /* jsonb */
    { 3904, 3905, true },  /* int4range */
    { 3906, 3907, true },  /* numrange */
    { 3908, 3909, true },  /* tsrange */
    { 3910, 3911, true },  /* tstzrange */
    { 3912, 3913, true },  /* daterange */
    { 3926, 3927, true },  /* int8range */
};

static const struct fact *find(uint32_t oid)
{
    size_t low = 0, high = sizeof(facts) / sizeof(facts[0]);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (facts[middle].oid < oid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < sizeof(facts) / sizeof(facts[0]) && facts[low].oid == oid ? &facts[low] : NULL;
}

bool sl_type_binary_proven(const sl_type *type)
{
    if (type->kind == 'e')
        return true;
    const struct fact *f = find(type->element ? type->element : type->base);
    return f && f->proven;
}

uint32_t sl_type_array_of(uint32_t oid)
{
    const struct fact *f = find(oid);
    return f ? f->array : 0;
}
