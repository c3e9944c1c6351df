/* SPDX-License-Identifier: Apache-2.0
 *
 * libcurl, loaded when it is first needed: a gateway that asks nothing of others does not
 * hold its 10 MB. The types are those of <curl/curl.h>; nothing is linked.
 */
#ifndef HTTP_CURL_H
#define HTTP_CURL_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#define CURL_LIBRARY "libcurl.so.4"

#define CURL_CALLS(X)                                                                    \
    X(global_init)                                                                       \
    X(version_info)                                                                      \
    X(free)                                                                              \
    X(slist_append)                                                                      \
    X(slist_free_all)                                                                    \
    X(url)                                                                               \
    X(url_set)                                                                           \
    X(url_get)                                                                           \
    X(url_cleanup)                                                                       \
    X(easy_init)                                                                         \
    X(easy_setopt)                                                                       \
    X(easy_getinfo)                                                                      \
    X(easy_strerror)                                                                     \
    X(easy_pause)                                                                        \
    X(easy_cleanup)                                                                      \
    X(multi_init)                                                                        \
    X(multi_setopt)                                                                      \
    X(multi_add_handle)                                                                  \
    X(multi_remove_handle)                                                               \
    X(multi_assign)                                                                      \
    X(multi_socket_action)                                                               \
    X(multi_info_read)                                                                   \
    X(multi_cleanup)

struct curl_calls {
#define X(name) __typeof__(curl_##name) *name;
    CURL_CALLS(X)
#undef X
    /* SSL_CTX_set1_cert_store of the OpenSSL that it rests on; NULL: it has another */
    void (*set_store)(void *ctx, void *store);
};

/* Fills out from a library. 0, or E_UNSUPPORTED with the reason in why: it is missing,
 * lacks a function, is older than 7.87 or would look names up in the calling thread.
 * Blocks; what was loaded stays. */
int curl_load(const char *library, struct curl_calls *out, char *why, size_t why_n);

/* Whether curl_calls has been called: then it does not block. */
bool curl_is_loaded(void);
/* The process's own, loaded by the first call, which blocks for some milliseconds; any
 * thread. NULL, and *why (static) when it cannot be had: that stays so. */
const struct curl_calls *curl_calls(const char **why);

#endif
