/* SPDX-License-Identifier: Apache-2.0
 *
 * The built-in scripts, made part of the program as text by the Makefile.
 */
#ifndef LUA_SCRIPTS_H
#define LUA_SCRIPTS_H

struct script {
    const char *name;  /* below scripts/: "tidegate/init.lua" */
    const char *begin; /* text, not NUL-terminated */
    const char *end;
};

extern const struct script scripts[]; /* ends with a NULL name */

#endif
