/* SPDX-License-Identifier: Apache-2.0
 *
 * A reply whose body a function of the script writes. With the first write the head is
 * sent, and the task becomes a source that the reply's pipe pulls from: a write waits
 * until the pipe has taken every byte of it, so a slow client slows the function down and
 * nothing piles up. The body ends when the function does; when it fails the source fails,
 * and the connection is cut.
 *
 * The task is the request's no longer: either may end first. When the request does (the
 * client has left), the task is cancelled.
 */
#ifndef LUA_TOLD_H
#define LUA_TOLD_H

#include "lua/streams.h"

/* The request has ended; its memory goes. Once, if v->told is still there. */
void told_leave(struct visit *v);

/* core.tell, core.write, core.told */
void l_told_open(lua_State *L);

#endif
