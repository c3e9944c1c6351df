/* SPDX-License-Identifier: Apache-2.0
 *
 * command: the subcommands that do not serve. Each file is one of them, or what several share;
 * core/main.c has the table of all. Rests on serve for the control socket's name alone.
 *
 *   ask.h     those that ask the running server
 *   errand.h  work inside a script without serving it, which the others here do
 *
 * Those below take their arguments, NULL-terminated, and return the exit code; 2 is a wrong use, of
 * which nothing is said here. Each blocks.
 */
#ifndef COMMAND_COMMAND_H
#define COMMAND_COMMAND_H

#include <stdbool.h>

/* SCRIPT [--online] */
int check_script(char **arguments);
/* SCRIPT METHOD PATH [option …] */
int explain_request(char **arguments);
/* SCRIPT DIR|FILE [--real-stores] */
int spec_policies(char **arguments);
/* SCRIPT [option …], each */
int verify_stores(char **arguments);
int tell_usage(char **arguments);
int list_trash(char **arguments);
/* SCRIPT REPO:TAG|REPO@DIGEST [option …] */
int restore_deleted(char **arguments);

/* [USER] [--cost N] in any order: reads a password, from the terminal twice and without echo, or
 * else the first line of the standard input; prints "USER:HASH", a line for a file of users, or
 * the hash alone without a user. */
int hash_password(char **arguments);

/* What the audit logs of a script say of "REPO" or "REPO:TAG". Reads files only, the moved ones
 * too; memory is bounded whatever they hold. */
int history(const char *script, const char *what, bool json);

#endif
