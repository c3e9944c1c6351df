/* SPDX-License-Identifier: Apache-2.0
 *
 * The control socket: how `tidegate reload`, `status` and `tasks` talk to a running
 * server. A unix socket of mode 0600 on the main thread. A client sends one line, gets
 * one JSON text and the end of the stream. Clients are few, their line is short, and each
 * of their waits has a deadline.
 */
#ifndef SERVE_CONTROL_H
#define SERVE_CONTROL_H

#include "loop/worker.h"

#define CONTROL_PATH_MAX 107 /* bytes that the kernel takes */
#define CONTROL_CALLS_MAX 16 /* clients at once; more are turned away */

struct control;
struct control_call; /* one client and its question */

/* Where the socket is, for server and client alike: the value of TIDEGATE_CONTROL, or
 * control.sock in RUNTIME_DIRECTORY, or .tidegate/control.sock in TIDEGATE_DATA, which is
 * ./data when it is not set. Returns an owned path, or NULL: TIDEGATE_CONTROL is "off". */
char *control_path(void);

/* Listens there; the folder it lies in is made unless it is there, but not that one's
 * own. ask(arg, call, line) is called for each question and has to be followed by one
 * control_answer, from inside or later; the line is lent. Main thread. 0 and an owned
 * control, or -errno: -EADDRINUSE when another server listens there. */
int control_open(struct worker *main_worker, const char *path,
                 void (*ask)(void *arg, struct control_call *call, const char *line),
                 void *arg, struct control **out);
/* Sends text, which it takes (from malloc), and ends the call. The client may be gone. */
void control_answer(struct control_call *call, char *text);
/* Removes the socket's file and ends every call, answered or not. Accepts NULL. */
void control_close(struct control *c);

#endif
