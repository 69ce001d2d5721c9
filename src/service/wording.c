/* wording.c: see wording.h. One table of commands; a word for the file becomes the task's id. */
#include "service/wording.h"

#include <string.h>

static const struct {
    const char *said, *action; /* action: its first word (`errors FILE list`), or NULL */
    const char *becomes;
} rows[] = {
    { "errors", "list", "task errors" },     { "errors", "retry", "task retry" },
    { "errors", "skip", "task skip" },       { "skip", NULL, "task skip-transaction" },
    { "resync", NULL, "task resync" },       { "release", NULL, "task release" },
    { "set-aside", NULL, "task set-aside" }, { "run", NULL, "task start" },
    { "check", NULL, "task check" },         { "status", NULL, "task tables" },
};

static const struct {
    const char *said, *becomes;
} phrases[] = {
    { "use --force:", "release it with force (pgsluice task release %s --force):" },
    { "or use --takeover to end it and go on here.", "or take the task away from it." },
};

#define COMMAND "pgsluice "
#define WORD_END " `\n.,;:)"

static size_t word_length(const char *p)
{
    return *p == '-' || *p == '/' ? strcspn(p, " `\n,;)") : strcspn(p, WORD_END);
}

static bool is_word(const char *p, const char *word)
{
    return strncmp(p, word, strlen(word)) == 0 && word_length(p) == strlen(word);
}

/* What stands for the specification: FILE, -, a file's name, or what a file without one is called.
 */
static size_t file_length(const char *p)
{
    static const char unnamed[] = "standard input";
    if (strncmp(p, unnamed, sizeof(unnamed) - 1) == 0)
        return sizeof(unnamed) - 1;
    size_t n = strcspn(p, " `\n,;)");
    bool named =
        n > 5 && (memcmp(p + n - 5, ".yaml", 5) == 0 || memcmp(p + n - 5, ".json", 5) == 0);
    return is_word(p, "FILE") || (n == 1 && *p == '-') || named ? n : 0;
}

/* Behind "pgsluice ": writes what it becomes; returns what was read, 0 when nothing fits. */
static size_t convert(const char *p, const char *id, sl_buf *out)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!is_word(p, rows[i].said))
            continue;
        const char *rest = p + strlen(rows[i].said);
        size_t file = *rest == ' ' ? file_length(rest + 1) : 0;
        if (file)
            rest += 1 + file;
        if (rows[i].action && (*rest != ' ' || !is_word(rest + 1, rows[i].action)))
            continue;
        if (rows[i].action)
            rest += 1 + strlen(rows[i].action);
        if (strncmp(rest, " --lsn", 6) == 0)
            rest += 6;
        sl_buf_printf(out, COMMAND "%s %s", rows[i].becomes, id);
        return (size_t)(rest - p);
    }
    return 0;
}

static size_t convert_phrase(const char *p, const char *id, sl_buf *out)
{
    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
        size_t n = strlen(phrases[i].said);
        if (strncmp(p, phrases[i].said, n) != 0)
            continue;
        const char *hole = strstr(phrases[i].becomes, "%s");
        if (hole)
            sl_buf_printf(out, "%.*s%s%s", (int)(hole - phrases[i].becomes), phrases[i].becomes, id,
                          hole + 2);
        else
            sl_buf_puts(out, phrases[i].becomes);
        return n;
    }
    return 0;
}

void sl_wording(const char *text, const char *id, sl_buf *out)
{
    for (const char *p = text; *p;) {
        size_t n = convert_phrase(p, id, out);
        if (n == 0 && strncmp(p, COMMAND, strlen(COMMAND)) == 0) {
            n = convert(p + strlen(COMMAND), id, out);
            n += n ? strlen(COMMAND) : 0;
        }
        if (n == 0)
            sl_buf_putc(out, *p);
        p += n ? n : 1;
    }
}

void sl_wording_fields(json_t *fields, const char *id)
{
    static const char *const keys[] = { "hint", "remedy", "message", "cause", "reason" };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *said = json_string_value(json_object_get(fields, keys[i]));
        SL_BUF(out);
        if (!said || (!strstr(said, COMMAND) && !strstr(said, "use --")))
            continue;
        sl_wording(said, id, &out);
        json_object_set_new(fields, keys[i], json_string(sl_buf_str(&out)));
    }
}
