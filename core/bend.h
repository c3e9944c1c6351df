/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands with which an operator looks at a script before and beside serving it.
 * Each takes its arguments, NULL-terminated, and returns the exit code; 2 is a wrong use,
 * of which nothing is said here. Used by main.c alone.
 */
#ifndef BEND_H
#define BEND_H

/* SCRIPT [--online] */
int check_script(char **arguments);
/* SCRIPT METHOD PATH [option …] */
int explain_request(char **arguments);
/* SCRIPT DIR|FILE [--real-stores] */
int spec_policies(char **arguments);
/* SCRIPT [option …], each */
int verify_stores(char **arguments);
int tell_usage(char **arguments);

#endif
