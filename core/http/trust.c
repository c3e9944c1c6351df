/* SPDX-License-Identifier: Apache-2.0 */
#include "http/trust.h"

#include <openssl/opensslv.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *file; /* a spec's */
static atomic_bool loaded;
static X509_STORE *store; /* or NULL; from `loaded` on. Kept for the process's life */

/* Both sides must mean the same struct by X509_STORE. */
static bool is_ours(const struct curl_calls *curl, const curl_version_info_data *info)
{
    char name[32];
    snprintf(name, sizeof name, "OpenSSL/%d.", OPENSSL_VERSION_MAJOR);
    return curl->set_store && info->ssl_version &&
           strncmp(info->ssl_version, name, strlen(name)) == 0;
}

static X509_STORE *read_store(const struct curl_calls *curl)
{
    const curl_version_info_data *info = curl->version_info(CURLVERSION_NOW);
    const char *path = file ? file : info->cainfo;
    X509_STORE *s = path && is_ours(curl, info) ? X509_STORE_new() : NULL;
    if (s && X509_STORE_load_file(s, path) == 1) {
        /* as libcurl does: any certificate that is trusted ends a chain */
        X509_STORE_set_flags(s, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
        return s;
    }
    X509_STORE_free(s);
    return NULL;
}

void trust_load(const struct curl_calls *curl)
{
    pthread_mutex_lock(&lock);
    if (!loaded)
        store = read_store(curl);
    loaded = true;
    pthread_mutex_unlock(&lock);
}

bool trust_is_loaded(void)
{
    return loaded;
}

static CURLcode give(CURL *easy, void *ctx, void *arg)
{
    const struct curl_calls *curl = arg;
    (void)easy;
    curl->set_store(ctx, store);
    return CURLE_OK;
}

bool trust_set(const struct curl_calls *curl, CURL *easy)
{
    return loaded && store && curl->easy_setopt(easy, CURLOPT_CAINFO, NULL) == CURLE_OK &&
           curl->easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
           curl->easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, give) == CURLE_OK &&
           curl->easy_setopt(easy, CURLOPT_SSL_CTX_DATA, curl) == CURLE_OK;
}

void trust_set_file(const char *path)
{
    file = path;
}
