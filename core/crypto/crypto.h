/* SPDX-License-Identifier: Apache-2.0
 *
 * crypto: digests with states that can be carried to another machine, CRCs, HMAC,
 * encodings and random bytes. Pure: no files, no threads, no waiting. Rests on base,
 * OpenSSL and ISA-L.
 *
 *   digest.h   SHA-256, SHA-512, MD5, CRC32C behind one face, and HMAC
 *   encode.h   hex and base64
 */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include "crypto/digest.h"
#include "crypto/encode.h"

#endif
