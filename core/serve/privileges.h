/* SPDX-License-Identifier: Apache-2.0
 *
 * Who the process is. Root may start it and it goes on as somebody else, who owns the
 * data; of root's rights only that to low ports is left, so that a reload can open one.
 */
#ifndef SERVE_PRIVILEGES_H
#define SERVE_PRIVILEGES_H

/* Becomes the user, with the groups that it is in; it cannot become anybody else after
 * that, by no program either. Nothing happens when the process is that user already. 0,
 * or a negative code with *why an owned text. Before any other thread runs: what the
 * kernel keeps for each thread is changed for this one. */
int privileges_drop(const char *user, char **why);

#endif
