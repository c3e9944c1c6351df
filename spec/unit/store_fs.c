/* SPDX-License-Identifier: Apache-2.0
 *
 * What only fs promises: where files lie, that nothing leads out, what begin refuses and
 * what it sweeps.
 */
#include "spec/unit/store_tree.h"

#include "backends/fs/fs.h"
#include "base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

FS_TEST(layout, "a key is the path of a plain file with plain permissions")
{
    struct stat st;
    char text[8] = "";
    umask(022);
    EXPECT_EQ(rig_put(r, "docker/registry/v2/x", "bytes"), 0);
    char *name = tree_path(r, "docker/registry/v2/x");
    FILE *f = fopen(name, "r");
    EXPECT(f && fread(text, 1, sizeof text, f) == 5 && fstat(fileno(f), &st) == 0);
    fclose(f);
    free(name);
    EXPECT_STR(text, "bytes");
    EXPECT_EQ(st.st_mode & 07777, 0644);
    name = tree_path(r, "docker");
    EXPECT_EQ(stat(name, &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0755);
    free(name);
    tree_write(r, "docker/theirs", "foreign");
    rig_expect(r, "docker/theirs", "foreign");
    EXPECT_EQ(tree_files(r, ".tidegate/tmp"), 0);
}

FS_TEST(confined, "a symlink inside the tree leads nowhere")
{
    struct sink *k;
    uint64_t size;
    struct op op;
    char *secret = xasprintf("%s/secret", unit_tmpdir());
    char *dir = tree_path(r, "dir"), *file = tree_path(r, "file"),
         *up = tree_path(r, "up");
    FILE *f = fopen(secret, "w");
    EXPECT(f && fputs("secret", f) >= 0 && fclose(f) == 0);
    EXPECT(symlink(unit_tmpdir(), dir) == 0 && symlink(secret, file) == 0 &&
           symlink("..", up) == 0);
    static const char *const keys[] = {"file", "dir/secret", "up/secret", "dir/new/x"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        op_init(&op, r->store, OP_read, NULL);
        op.key = keys[i];
        op.limit = 100;
        EXPECT_EQ(rig_run(r, &op), E_DENIED);
        op_fini(&op);
        EXPECT_EQ(rig_append(r, keys[i], 0, &k, &size), E_DENIED);
        EXPECT_EQ(rig_remove(r, keys[i]), E_DENIED);
        EXPECT_EQ(rig_touch(r, keys[i]), E_DENIED);
        EXPECT_EQ(rig_two(r, OP_move, keys[i], "to"), E_DENIED);
        if (i)
            EXPECT_EQ(rig_put(r, keys[i], "x"), E_DENIED);
    }
    rig_expect_list(r, "", false, "");
    rig_expect_list(r, "", true, "");
    op_init(&op, r->store, OP_remove_prefix, NULL);
    op.key = "dir/";
    rig_run(r, &op);
    EXPECT_EQ(op.count, 0);
    op_fini(&op);
    EXPECT_EQ(access(secret, F_OK), 0);
    free(secret);
    free(dir);
    free(file);
    free(up);
}

FS_TEST(strange_files, "pipes and names that are no keys are not there")
{
    char *pipe_name = tree_path(r, "pipe");
    EXPECT_EQ(mkfifo(pipe_name, 0644), 0);
    tree_write(r, "new\nline", "x");
    tree_mkdir(r, "empty");
    tree_mkdir(r, "empty/below");
    rig_expect(r, "pipe", NULL);
    rig_expect_list(r, "", false, "");
    rig_expect_list(r, "", true, "");
    EXPECT_EQ(rig_put(r, "empty/below", "a file where an empty folder was"), 0);
    rig_expect_list(r, "", true, "empty/");
    free(pipe_name);
}

TEST("store fs: below its reserve it writes nothing, but reads and removes")
{
    struct rig r;
    struct sink *k;
    uint64_t size;
    char *root = xasprintf("%s/store", unit_tmpdir());
    struct store_option options[] = {
        {"root", root}, {"reserve", "9000000000000000000"}, {NULL, NULL}};
    log_setup(2, LOG_ERROR + 1, false);
    rig_open(&r, "fs", options);
    tree_write(&r, "k", "x");
    EXPECT_EQ(rig_put(&r, "new", "x"), E_NO_SPACE);
    EXPECT_EQ(rig_create(&r, "new", false, &k), E_NO_SPACE);
    EXPECT_EQ(rig_append(&r, "k", 1, &k, &size), E_NO_SPACE);
    EXPECT_EQ(rig_two(&r, OP_copy, "k", "new"), E_NO_SPACE);
    EXPECT_EQ(rig_two(&r, OP_move, "k", "moved"), 0);
    rig_expect(&r, "moved", "x");
    EXPECT_EQ(rig_touch(&r, "moved"), 0);
    EXPECT_EQ(rig_remove(&r, "moved"), 0);
    rig_close(&r);
    free(root);
}

FS_TEST(leftover, "what a dead process left in tmp is swept, what a live one has is not")
{
    char *lock = tree_path(r, ".tidegate/tmp/alive/lock");
    tree_mkdir(r, ".tidegate/tmp/dead");
    tree_write(r, ".tidegate/tmp/dead/lock", "");
    tree_write(r, ".tidegate/tmp/dead/7", "half an object");
    tree_mkdir(r, ".tidegate/tmp/alive");
    tree_write(r, ".tidegate/tmp/alive/lock", "");
    tree_write(r, ".tidegate/tmp/alive/7", "half an object");
    int fd = open(lock, O_RDWR);
    EXPECT(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
    rig_reopen(r);
    EXPECT(!tree_has(r, ".tidegate/tmp/dead"));
    EXPECT(tree_has(r, ".tidegate/tmp/alive/7"));
    close(fd);
    rig_reopen(r);
    EXPECT(!tree_has(r, ".tidegate/tmp/alive"));
    free(lock);
}

FS_TEST(format, "a newer or damaged format is refused by name")
{
    static const struct {
        const char *text;
        int rc;
        const char *why;
    } cases[] = {{"tidegate fs 2\n", E_UNSUPPORTED, "version 2 is newer"},
                 {"tidegate erasure 1\n", E_CORRUPT, "cannot be read"},
                 {"", E_CORRUPT, "cannot be read"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store *s;
        char *why = NULL;
        struct store_option o[] = {{"root", r->root}};
        tree_write(r, ".tidegate/format", cases[i].text);
        EXPECT_EQ(store_get("fs", o, 1, &s, &why), 0);
        EXPECT_EQ(store_begin_all(&why), cases[i].rc);
        EXPECT(strstr(why, cases[i].why) && strstr(why, r->root));
        free(why);
        store_unref(s);
    }
}
