/* SPDX-License-Identifier: Apache-2.0
 *
 * The directory below an fs store, as somebody else sees it; paths are relative to the
 * root. FS_TEST makes a case that gets a fresh one.
 */
#ifndef STORE_TREE_H
#define STORE_TREE_H

#include "spec/unit/store_rig.h"

#define FS_TEST(fn, title)                                                               \
    static void fn(struct rig *r);                                                       \
    UNIT_TEST("store fs: " title, run_##fn, add_##fn)                                    \
    {                                                                                    \
        rig_case("fs", fn);                                                              \
    }                                                                                    \
    static void fn(struct rig *r)

/* An owned path. */
char *tree_path(struct rig *r, const char *path);
void tree_write(struct rig *r, const char *path, const char *text);
bool tree_has(struct rig *r, const char *path);
void tree_mkdir(struct rig *r, const char *path);
/* How many files lie below path, locks of runs aside. */
int tree_files(struct rig *r, const char *path);

#endif
