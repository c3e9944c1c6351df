/* SPDX-License-Identifier: Apache-2.0
 *
 * crypto: digests with states that can be carried to another machine, CRCs, HMAC,
 * encodings, random bytes and passwords. Pure: no files, no threads, no waiting, though a
 * password takes its time. Rests on base, OpenSSL, ISA-L and libcrypt.
 *
 *   digest.h     SHA-256, SHA-512, MD5, CRC32C behind one face, and HMAC
 *   encode.h     hex and base64
 *   password.h   bcrypt
 */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include "crypto/digest.h"
#include "crypto/encode.h"
#include "crypto/password.h"

#endif
