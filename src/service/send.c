/* send.c: one message to one contact: webhook (generic JSON with a signature, Slack, DingTalk),
 * e-mail, a program. One table of kinds; HTTP and SMTP are libcurl's.
 *
 * Answers of webhooks are read for what the service has to know and not shown: an operator could
 * otherwise read pages that only this machine can reach. Redirects are not followed. */
#include <curl/curl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "service/service.h"

#define CONNECT_SECONDS 7L
#define SECONDS 20L
#define PROGRAM_SECONDS 30
#define MOST_ANSWER 4096

typedef struct sending {
    sl_service *s;
    const json_t *contact, *secrets, *message;
    sl_buf *result;
    sl_arena arena;
    sl_buf answer;
    const char *body; /* what is still to be sent by mail */
    size_t left;
} sending;

static const char *setting(const sending *m, const char *key)
{
    const char *secret = json_string_value(json_object_get(m->secrets, key));
    return secret ? secret : json_string_value(json_object_get(m->contact, key));
}

static const char *part(const sending *m, const char *key)
{
    const char *text = json_string_value(json_object_get(m->message, key));
    return text ? text : "";
}

/* ---- what all of libcurl's have in common ---- */

static size_t take_answer(char *data, size_t size, size_t n, void *self)
{
    sending *m = self;
    size_t room = MOST_ANSWER - m->answer.len;
    sl_buf_add(&m->answer, data, size * n < room ? size * n : room);
    return size * n;
}

static int go_on(void *self, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    return ((const sending *)self)->s->stopping;
}

static CURL *new_curl(sending *m, const char *url, const char *protocols, char *why)
{
    CURL *curl = curl_easy_init();
    const char *ca = setting(m, "ca_cert");
    why[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, protocols);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, SECONDS);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, m);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, go_on);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, m);
    if (ca) {
        struct curl_blob blob = { (void *)ca, strlen(ca), CURL_BLOB_COPY };
        curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
    }
    return curl;
}

/* Performs and cleans up. True when the server has answered: status says what. */
static bool perform(sending *m, CURL *curl, const char *why, long *status)
{
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK)
        sl_buf_puts(m->result, why[0] ? why : curl_easy_strerror(code));
    return code == CURLE_OK;
}

/* ---- webhooks ---- */

static bool post(sending *m, const char *url, const char *body, struct curl_slist *headers)
{
    char why[CURL_ERROR_SIZE];
    long status = 0;
    CURL *curl = new_curl(m, url, "http,https", why);
    headers = curl_slist_append(headers, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "pgsluice/" SL_VERSION);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    bool answered = perform(m, curl, why, &status);
    curl_slist_free_all(headers);
    if (answered)
        sl_buf_printf(m->result, "HTTP %ld", status);
    return answered && status >= 200 && status < 300;
}

static void sign(const char *secret, const char *text, size_t n, unsigned char *out)
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, strlen(secret));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, n);
    crypto_auth_hmacsha256_final(&state, out);
}

static bool send_webhook(sending *m)
{
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    char hex[2 * sizeof(mac) + 1];
    struct curl_slist *headers = NULL;
    long long now = sl_now_us() / 1000000;
    char *body = json_dumps(m->message, JSON_COMPACT);
    const char *secret = setting(m, "secret");
    const char *signed_text = sl_arena_printf(&m->arena, "%lld.%s", now, body);
    headers =
        curl_slist_append(headers, sl_arena_printf(&m->arena, "X-Pgsluice-Timestamp: %lld", now));
    if (secret) {
        sign(secret, signed_text, strlen(signed_text), mac);
        sodium_bin2hex(hex, sizeof(hex), mac, sizeof(mac));
        headers =
            curl_slist_append(headers,
                              sl_arena_printf(&m->arena, "X-Pgsluice-Signature: sha256=%s", hex));
    }
    bool sent = post(m, setting(m, "url"), body, headers);
    free(body);
    return sent;
}

static bool post_json(sending *m, const char *url, json_t *json)
{
    char *body = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    bool sent = post(m, url, body, NULL);
    free(body);
    return sent;
}

static bool send_slack(sending *m)
{
    return post_json(m, setting(m, "url"),
                     json_pack("{s:o}", "text",
                               json_sprintf("*%s*\n%s", part(m, "subject"), part(m, "text"))));
}

/* DingTalk's signature: HMAC of "milliseconds\nsecret" with the secret, base64, in the query. */
static const char *dingtalk_url(sending *m)
{
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    char base64[64];
    const char *url = setting(m, "url"), *secret = setting(m, "secret");
    if (!secret)
        return url;
    long long ms = sl_now_us() / 1000;
    const char *text = sl_arena_printf(&m->arena, "%lld\n%s", ms, secret);
    sign(secret, text, strlen(text), mac);
    sodium_bin2base64(base64, sizeof(base64), mac, sizeof(mac), sodium_base64_VARIANT_ORIGINAL);
    char *escaped = curl_easy_escape(NULL, base64, 0);
    url = sl_arena_printf(&m->arena, "%s%ctimestamp=%lld&sign=%s", url,
                          strchr(url, '?') ? '&' : '?', ms, escaped);
    curl_free(escaped);
    return url;
}

static bool send_dingtalk(sending *m)
{
    json_t *content = json_sprintf("%s\n%s", part(m, "subject"), part(m, "text"));
    bool sent =
        post_json(m, dingtalk_url(m),
                  json_pack("{s:s, s:{s:o}}", "msgtype", "text", "text", "content", content));
    if (!sent)
        return false;
    /* It says 200 and tells what is wrong in the body. */
    json_t *answer = json_loadb(sl_buf_str(&m->answer), m->answer.len, 0, NULL);
    json_int_t code = json_integer_value(json_object_get(answer, "errcode"));
    const char *why = json_string_value(json_object_get(answer, "errmsg"));
    if (code != 0)
        sl_buf_printf(m->result, ", errcode %lld: %.200s", (long long)code, why ? why : "");
    json_decref(answer);
    return code == 0;
}

/* ---- e-mail ---- */

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

/* A header's text: as it is, or as encoded words of at most 75 characters (RFC 2047). */
static void add_header_text(sl_buf *out, const char *text)
{
    char base64[80];
    const char *separator = "";
    if (is_plain(text)) {
        sl_buf_puts(out, text);
        return;
    }
    while (*text) {
        size_t n = strlen(text);
        if (n > 42)
            n = 42;
        while (n > 1 && ((unsigned char)text[n] & 0xc0) == 0x80) /* whole characters only */
            n--;
        sodium_bin2base64(base64, sizeof(base64), (const unsigned char *)text, n,
                          sodium_base64_VARIANT_ORIGINAL);
        sl_buf_printf(out, "%s=?UTF-8?B?%s?=", separator, base64);
        separator = "\r\n ";
        text += n;
    }
}

static void add_base64(sl_buf *out, const char *text)
{
    char line[80];
    for (size_t n = strlen(text), k; n > 0; n -= k, text += k) {
        k = n < 57 ? n : 57;
        sodium_bin2base64(line, sizeof(line), (const unsigned char *)text, k,
                          sodium_base64_VARIANT_ORIGINAL);
        sl_buf_printf(out, "%s\r\n", line);
    }
}

static void write_mail(sending *m, sl_buf *out)
{
    char date[64], id[SL_ID_SIZE], host[256] = "localhost";
    time_t now = (time_t)(sl_now_us() / 1000000);
    struct tm tm;
    size_t i;
    json_t *to;
    gmtime_r(&now, &tm);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
    gethostname(host, sizeof(host) - 1);
    sl_buf_printf(out, "Date: %s\r\nFrom: <%s>\r\nTo: ", date, setting(m, "from"));
    json_array_foreach(json_object_get(m->contact, "to"), i, to)
        sl_buf_printf(out, "%s<%s>", i ? ",\r\n " : "", json_string_value(to));
    sl_buf_puts(out, "\r\nSubject: ");
    add_header_text(out, part(m, "subject"));
    sl_buf_printf(out,
                  "\r\nMessage-ID: <%s.%lld@%s>\r\nAuto-Submitted: auto-generated\r\n"
                  "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                  "Content-Transfer-Encoding: base64\r\n\r\n",
                  sl_catalog_new_id(id), (long long)now, host);
    add_base64(out, part(m, "text"));
}

static size_t give_mail(char *buffer, size_t size, size_t n, void *self)
{
    sending *m = self;
    size_t k = size * n < m->left ? size * n : m->left;
    memcpy(buffer, m->body, k);
    m->body += k;
    m->left -= k;
    return k;
}

static const char *smtp_url(sending *m, const char *tls)
{
    const char *host = setting(m, "host");
    int port = (int)json_integer_value(json_object_get(m->contact, "port"));
    bool v6 = strchr(host, ':') != NULL;
    return sl_arena_printf(&m->arena, "%s://%s%s%s:%d", strcmp(tls, "tls") == 0 ? "smtps" : "smtp",
                           v6 ? "[" : "", host, v6 ? "]" : "", port);
}

static bool send_smtp(sending *m)
{
    SL_BUF(mail);
    char why[CURL_ERROR_SIZE];
    long status = 0;
    size_t i;
    json_t *to;
    struct curl_slist *recipients = NULL;
    const char *tls = setting(m, "tls"), *user = setting(m, "user");
    const char *password = setting(m, "password");
    CURL *curl = new_curl(m, smtp_url(m, tls), "smtp,smtps", why);
    json_array_foreach(json_object_get(m->contact, "to"), i, to) recipients =
        curl_slist_append(recipients, json_string_value(to));
    write_mail(m, &mail);
    m->body = mail.data;
    m->left = mail.len;
    if (strcmp(tls, "starttls") == 0)
        curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
    if (user) {
        curl_easy_setopt(curl, CURLOPT_USERNAME, user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, password ? password : "");
    }
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, setting(m, "from"));
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_mail);
    curl_easy_setopt(curl, CURLOPT_READDATA, m);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    bool sent = perform(m, curl, why, &status);
    curl_slist_free_all(recipients);
    if (sent)
        sl_buf_printf(m->result, "SMTP %ld", status);
    else if (status > 0)
        sl_buf_printf(m->result, " (SMTP %ld)", status);
    return sent;
}

/* ---- programs ---- */

static bool send_command(sending *m)
{
    sl_error err = SL_ERROR_INIT;
    int code = 0;
    const char *name = setting(m, "command");
    if (!m->s->options.alert_commands) {
        sl_buf_puts(m->result, "the service was started without --alert-commands DIR");
        return false;
    }
    const char *path = sl_arena_printf(&m->arena, "%s/%s", m->s->options.alert_commands, name);
    const char *words[] = { name, part(m, "event"), NULL };
    if (access(path, X_OK) != 0) {
        sl_buf_printf(m->result, "%.200s is not there or cannot be run", path);
        return false;
    }
    char *text = json_dumps(m->message, JSON_COMPACT);
    sl_rc rc = sl_process_run(m->s, path, words, text, PROGRAM_SECONDS, &m->answer, &code, &err);
    free(text);
    if (rc != SL_OK)
        sl_buf_printf(m->result, "it did not end within %d s", PROGRAM_SECONDS);
    else
        sl_buf_printf(m->result, "exit code %d", code);
    return rc == SL_OK && code == 0;
}

bool sl_send(sl_service *s, const json_t *contact, const json_t *secrets, const json_t *message,
             sl_buf *result)
{
    static const struct {
        const char *kind;
        bool (*send)(sending *m);
    } kinds[] = {
        { "webhook", send_webhook }, { "slack", send_slack },     { "dingtalk", send_dingtalk },
        { "smtp", send_smtp },       { "command", send_command },
    };
    sending m = { s, contact, secrets, message, result, .left = 0 };
    const char *kind = json_string_value(json_object_get(contact, "kind"));
    bool sent = false;
    for (size_t i = 0; kind && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].kind, kind) == 0)
            sent = kinds[i].send(&m);
    sl_buf_free(&m.answer);
    sl_arena_free(&m.arena);
    return sent;
}
