/* SPDX-License-Identifier: Apache-2.0
 *
 * What is said of a request when it is over: its line of the access log, and what is
 * counted. The query is never written, nor a header but the user agent: credentials and
 * signatures travel there.
 */
#ifndef HTTP_ACCESS_H
#define HTTP_ACCESS_H

#include "http/request.h"

/* rc: how the sending of its reply ended. */
void access_end(const struct req *q, int rc);

#endif
