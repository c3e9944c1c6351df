/* SPDX-License-Identifier: Apache-2.0
 *
 * `tidegate hash-password`: a password becomes a line for a file of users.
 */
#ifndef HASH_PASSWORD_H
#define HASH_PASSWORD_H

/* Reads a password, from the terminal twice and without echo, or else the first line of
 * the standard input; prints "USER:HASH", or the hash alone without a user. arguments:
 * USER and --cost N in any order, NULL at the end. Returns an exit code. */
int hash_password(char **arguments);

#endif
