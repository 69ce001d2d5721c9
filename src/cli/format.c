/* format.c: numbers for people, errors, findings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

char *cli_count(int64_t n, char *buf)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%lld", (long long)(n < 0 ? -n : n));
    char *p = buf;
    if (n < 0)
        *p++ = '-';
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *p++ = ',';
        *p++ = digits[i];
    }
    *p = '\0';
    return buf;
}

char *cli_bytes(int64_t n, char *buf)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
    double v = (double)n;
    size_t u = 0;
    while (v >= 1024 && u < 5) {
        v /= 1024;
        u++;
    }
    snprintf(buf, 32, u == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v, units[u]);
    return buf;
}

char *cli_duration(double s, char *buf)
{
    long whole = (long)(s + 0.5);
    if (s < 10)
        snprintf(buf, 32, "%.1f s", s < 0 ? 0 : s);
    else if (whole < 60)
        snprintf(buf, 32, "%ld s", whole);
    else if (whole < 3600)
        snprintf(buf, 32, "%ld:%02ld min", whole / 60, whole % 60);
    else
        snprintf(buf, 32, "%ld:%02ld:%02ld h", whole / 3600, whole / 60 % 60, whole % 60);
    return buf;
}

int cli_fail(const cli_args *args, const sl_error *err)
{
    if (args->json) {
        json_t *o =
            json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:s*}", "event", "error", "code",
                      sl_rc_name(err->code), "message", err->message, "sqlstate",
                      err->sqlstate[0] ? err->sqlstate : NULL, "while",
                      err->where[0] ? err->where : NULL, "hint", err->hint[0] ? err->hint : NULL);
        if (o)
            json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
        json_decref(o);
    }
    char text[sizeof(sl_error) + 64];
    fprintf(stderr, "pgsluice: %s\n", sl_error_text(err, text, sizeof(text)));
    switch (err->code) {
    case SL_USAGE:
        return EXIT_USAGE;
    case SL_PRECHECK:
        return EXIT_PRECHECK;
    default:
        return EXIT_FAILED;
    }
}

static void print_indented(const char *label, const char *text)
{
    printf("      %s: ", label);
    for (; *text; text++) {
        putchar(*text);
        if (*text == '\n')
            printf("      %*s", (int)strlen(label) + 2, "");
    }
    putchar('\n');
}

void cli_print_findings(const sl_findings *findings, bool failed_only)
{
    static const char *const marks[] = { "ok", "WARN", "FAIL", "--" };
    static const char *const colours[] = { "\033[32m", "\033[33m", "\033[31m", "\033[2m" };
    bool colour = isatty(1);
    for (size_t i = 0; i < findings->n; i++) {
        const sl_finding *f = &findings->items[i];
        if (failed_only && (f->result != SL_FINDING_FAILED || f->ignored))
            continue;
        printf("%s%-5s%s %-28s %s%s%s%s\n", colour ? colours[f->result] : "",
               f->ignored ? "skip" : marks[f->result], colour ? "\033[0m" : "", f->check, f->title,
               f->object[0] ? ": " : "", f->object, f->ignored ? " (ignored)" : "");
        if (f->result == SL_FINDING_PASSED)
            continue;
        if (f->cause)
            print_indented("cause", f->cause);
        if (f->remedy)
            print_indented("remedy", f->remedy);
    }
}
