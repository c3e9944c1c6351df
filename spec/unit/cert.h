/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates for cases.
 */
#ifndef UNIT_CERT_H
#define UNIT_CERT_H

#include <openssl/x509.h>

/* One that signs itself, for 127.0.0.1, for an hour. Both owned. */
void cert_make(X509 **cert, EVP_PKEY **key);
/* In PEM form; each may be NULL. */
void cert_write(X509 *cert, EVP_PKEY *key, const char *path);

#endif
