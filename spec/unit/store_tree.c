/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/store_tree.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

char *tree_path(struct rig *r, const char *path)
{
    return xasprintf("%s/%s", r->root, path);
}

void tree_write(struct rig *r, const char *path, const char *text)
{
    char *name = tree_path(r, path);
    FILE *f = fopen(name, "w");
    EXPECT(f && fputs(text, f) >= 0 && fclose(f) == 0);
    free(name);
}

bool tree_has(struct rig *r, const char *path)
{
    struct stat st;
    char *name = tree_path(r, path);
    bool found = lstat(name, &st) == 0;
    free(name);
    return found;
}

void tree_mkdir(struct rig *r, const char *path)
{
    char *name = tree_path(r, path);
    EXPECT_EQ(mkdir(name, 0755), 0);
    free(name);
}

static int files;

static int count_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    files += type == FTW_F && strcmp(path + ftw->base, "lock") != 0;
    return 0;
}

int tree_files(struct rig *r, const char *path)
{
    char *name = tree_path(r, path);
    files = 0;
    nftw(name, count_file, 16, FTW_PHYS);
    free(name);
    return files;
}
