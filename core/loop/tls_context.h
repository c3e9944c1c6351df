/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of TLS have of each other.
 */
#ifndef LOOP_TLS_CONTEXT_H
#define LOOP_TLS_CONTEXT_H

#include "loop/tls.h"

#include <openssl/ssl.h>

/* An owned object, or NULL; *kernel says whether the kernel may encrypt for it. */
SSL *tls_context_open(struct tls_context *x, bool *kernel);
const BIO_METHOD *tls_context_wire(const struct tls_context *x);

/* Borrowed; the connection is TLS. */
SSL *tls_object(const struct conn *c);
/* For cases: from now on as if the kernel had TLS, or had not. */
void tls_context_force(struct tls_context *x, bool kernel);

/* What lies between OpenSSL and a socket; owned. */
BIO_METHOD *tls_wire(void);

#endif
