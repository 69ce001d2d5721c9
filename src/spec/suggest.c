/* suggest.c: see suggest.h. The distance is the restricted Damerau-Levenshtein distance of the
 * lower-cased names; names are compared up to LONGEST bytes, which is longer than any PostgreSQL
 * name. */
#include "spec/suggest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define LONGEST 64

static size_t lower(const char *name, char *out)
{
    size_t n = strnlen(name, LONGEST);
    for (size_t i = 0; i < n; i++)
        out[i] = (char)tolower((unsigned char)name[i]);
    return n;
}

static int least(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

static int distance(const char *a, size_t n, const char *b, size_t m)
{
    int rows[3][LONGEST + 1]; /* row i lies in rows[i % 3] */
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int *row = rows[i % 3], *above = rows[(i - 1) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int cost = a[i - 1] != b[j - 1];
            row[j] = least(row[j - 1] + 1, above[j] + 1, above[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                two_above[j - 2] + 1 < row[j])
                row[j] = two_above[j - 2] + 1;
        }
    }
    return rows[n % 3][m];
}

size_t sl_nearest(const char *name, const char *const *candidates, size_t n, const char *found[3])
{
    char wanted[LONGEST], candidate[LONGEST];
    size_t wanted_len = lower(name, wanted);
    int limit = wanted_len < 3 ? 1 : wanted_len < 6 ? 2 : (int)wanted_len / 3;
    int distances[3];
    size_t count = 0;
    found[0] = found[1] = found[2] = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t len = lower(candidates[i], candidate);
        int gap = (int)len - (int)wanted_len;
        if (gap > limit || gap < -limit)
            continue;
        int d = distance(wanted, wanted_len, candidate, len);
        if (d > limit || d >= (int)(len > wanted_len ? len : wanted_len))
            continue;
        size_t at = count < 3 ? count++ : 3;
        if (at == 3 && d >= distances[2])
            continue;
        for (at = at == 3 ? 2 : at; at > 0 && distances[at - 1] > d; at--) {
            distances[at] = distances[at - 1];
            found[at] = found[at - 1];
        }
        distances[at] = d;
        found[at] = candidates[i];
    }
    return count;
}

char *sl_nearest_text(const char *const *found, size_t n, char *buf, size_t size)
{
    size_t len = 0;
    buf[0] = '\0';
    for (size_t i = 0; i < n && len < size; i++)
        len += (size_t)snprintf(buf + len, size - len, "%s%s",
                                i == 0       ? ""
                                : i + 1 == n ? " or "
                                             : ", ",
                                found[i]);
    return buf;
}
