/* SPDX-License-Identifier: Apache-2.0
 *
 * Files beside the script whose content is data to it, and which are read again when they
 * change: gate.file. They are read while the script loads, and looked at once a second by
 * a job, all of a VM's in one; so whoever uses the content never waits. A file that went
 * away or became bad leaves what was read last, and one line in the log.
 */
#ifndef LUA_FILES_H
#define LUA_FILES_H

#include "lua/vm.h"

#define FILES_MAX 256 /* of one VM */
#define FILE_SIZE_MAX ((size_t)16 << 20)

/* Begins to look at them, on the VM's worker; and ends that. */
void watcher_start(struct vm *vm);
void watcher_stop(struct vm *vm);
/* No look may be under way. Accepts NULL. */
void watcher_free(struct watcher *w);

/* core.file */
void l_files_open(lua_State *L);

#endif
