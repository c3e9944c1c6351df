/* SPDX-License-Identifier: Apache-2.0 */
#include "http/transfer.h"

#include <stdlib.h>
#include <string.h>

/* A user in a URL would be a credential that logs and redirects carry along. */
#define URL_FLAGS (CURLU_DISALLOW_USER | CURLU_PATH_AS_IS)

static bool is_web(const char *scheme)
{
    return strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0;
}

/* A part of a parsed URL; given back by curl->free. NULL when it has none. */
static char *part(const struct curl_calls *curl, CURLU *u, CURLUPart what)
{
    char *text = NULL;
    unsigned flags = what == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0;
    return curl->url_get(u, what, &text, flags) == CURLUE_OK ? text : NULL;
}

bool target_is_valid(const struct curl_calls *curl, const char *url)
{
    if (strlen(url) >= FETCH_URL_MAX)
        return false;
    CURLU *u = curl->url();
    bool valid = u && curl->url_set(u, CURLUPART_URL, url, URL_FLAGS) == CURLUE_OK;
    char *scheme = valid ? part(curl, u, CURLUPART_SCHEME) : NULL;
    valid = scheme && is_web(scheme);
    curl->free(scheme);
    curl->url_cleanup(u);
    return valid;
}

char *target_origin(const struct curl_calls *curl, const char *url)
{
    char *origin = NULL;
    CURLU *u = curl->url();
    if (u && curl->url_set(u, CURLUPART_URL, url, URL_FLAGS) == CURLUE_OK) {
        char *scheme = part(curl, u, CURLUPART_SCHEME);
        char *host = part(curl, u, CURLUPART_HOST);
        char *port = part(curl, u, CURLUPART_PORT);
        if (scheme && host && port)
            origin = xasprintf("%s://%s:%s", scheme, host, port);
        curl->free(scheme);
        curl->free(host);
        curl->free(port);
    }
    curl->url_cleanup(u);
    return origin;
}

char *target_next(const struct curl_calls *curl, const char *url, struct span location)
{
    if (location.n == 0)
        return NULL;
    char *next = NULL, *text = xmemdup(location.p, location.n);
    CURLU *u = curl->url();
    if (u && curl->url_set(u, CURLUPART_URL, url, URL_FLAGS) == CURLUE_OK &&
        curl->url_set(u, CURLUPART_URL, text, URL_FLAGS) == CURLUE_OK) {
        char *whole = part(curl, u, CURLUPART_URL);
        bool falls =
            strncmp(url, "https:", 6) == 0 && whole && strncmp(whole, "https:", 6) != 0;
        if (whole && !falls && target_is_valid(curl, whole))
            next = xstrdup(whole);
        curl->free(whole);
    }
    curl->url_cleanup(u);
    free(text);
    return next;
}

bool target_takes(struct span name)
{
    static const char *const names[] = {"Accept",
                                        "Accept-Encoding",
                                        "Accept-Language",
                                        "User-Agent",
                                        "Range",
                                        "If-Match",
                                        "If-Modified-Since",
                                        "If-None-Match",
                                        "If-Unmodified-Since",
                                        "If-Range",
                                        "Cache-Control"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (span_is_nocase(name, names[i]))
            return true;
    return false;
}
