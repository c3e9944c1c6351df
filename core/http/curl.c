/* SPDX-License-Identifier: Apache-2.0 */
#include "http/curl.h"

#include "base/base.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define LEAST_VERSION 0x075700u /* 7.87.0: CURLOPT_QUICK_EXIT, CURLOPT_PROTOCOLS_STR */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct curl_calls process_calls;
static char process_why[256]; /* empty: it is loaded */
static atomic_bool loaded;

static int find(void *library, struct curl_calls *out, char *why, size_t why_n)
{
    static const struct {
        const char *name;
        size_t at;
    } calls[] = {
#define X(name) {"curl_" #name, offsetof(struct curl_calls, name)},
        CURL_CALLS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        void *p = dlsym(library, calls[i].name);
        if (!p) {
            snprintf(why, why_n, "it has no %s", calls[i].name);
            return E_UNSUPPORTED;
        }
        memcpy((char *)out + calls[i].at, &p, sizeof p);
    }
    void *p = dlsym(library, "SSL_CTX_set1_cert_store");
    memcpy(&out->set_store, &p, sizeof p);
    return 0;
}

int curl_load(const char *library, struct curl_calls *out, char *why, size_t why_n)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(why, why_n, "%s", dlerror());
        return E_UNSUPPORTED;
    }
    int rc = find(handle, out, why, why_n);
    if (rc == 0) {
        const curl_version_info_data *info = out->version_info(CURLVERSION_NOW);
        if (info->version_num >= LEAST_VERSION && info->features & CURL_VERSION_ASYNCHDNS)
            return 0;
        snprintf(why, why_n, "7.87 or newer with asynchronous DNS is needed, this is %s",
                 info->version);
    }
    dlclose(handle);
    return E_UNSUPPORTED;
}

static void load(void)
{
    char *why = process_why;
    if (curl_load(CURL_LIBRARY, &process_calls, why, sizeof process_why) == 0 &&
        process_calls.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        snprintf(why, sizeof process_why, "curl_global_init failed");
    loaded = true;
}

bool curl_is_loaded(void)
{
    return loaded;
}

const struct curl_calls *curl_calls(const char **why)
{
    pthread_once(&once, load);
    *why = process_why;
    return process_why[0] ? NULL : &process_calls;
}
