/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificates that the system trusts, for all requests of the client. libcurl would
 * read them once for every worker, on its thread, which takes the better part of 100 ms;
 * here a thread of the pool does it, once. Only where libcurl rests on the OpenSSL that
 * we have; otherwise libcurl does as it likes.
 */
#ifndef HTTP_TRUST_H
#define HTTP_TRUST_H

#include "http/curl.h"

#include <stdbool.h>

/* Reads them, unless that was done. Blocks; any thread. */
void trust_load(const struct curl_calls *curl);
/* Whether there is nothing left to be read. */
bool trust_is_loaded(void);
/* Has a request take them instead of reading what it is told to. False when there are
 * none: then nothing has changed. */
bool trust_set(const struct curl_calls *curl, CURL *easy);
/* For specs, before the first load: another file than the system's; borrowed. */
void trust_set_file(const char *path);

#endif
