/* SPDX-License-Identifier: Apache-2.0
 *
 * What a key may be, the same for every kind: segments separated by single slashes, no
 * slash at either end. A segment is 1 to 255 bytes without NUL and control characters,
 * and is neither "." nor "..". 1024 bytes in all. The first segment ".tidegate" is the
 * store's own and refused. Pure.
 */
#ifndef STORE_KEY_H
#define STORE_KEY_H

#include "base/base.h"

#define KEY_MAX 1024
#define KEY_PRIVATE ".tidegate"

/* 0 or E_INVALID. */
int key_check(struct span key);
/* A prefix of keys for list and remove_prefix: like a key, but it may be empty or end
 * with '/', and its last segment may be incomplete. 0 or E_INVALID. */
int key_check_prefix(struct span prefix);

#endif
