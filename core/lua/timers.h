/* SPDX-License-Identifier: Apache-2.0
 *
 * A VM's timers: what gate.after and gate.every declare. They are made while the script
 * loads, and by requests later; they run once timers_start was called, on the VM's
 * worker. When one is due it starts a task (background.h).
 */
#ifndef LUA_TIMERS_H
#define LUA_TIMERS_H

#include "lua/vm.h"

#define TIMERS_MAX 4096 /* of one VM */

void timers_start(struct vm *vm);
/* What has not begun will not. */
void timers_stop(struct vm *vm);
/* Frees them all; none of their tasks may be left. */
void timers_free(struct vm *vm);

/* core.after, core.every */
void l_timers_open(lua_State *L);

#endif
