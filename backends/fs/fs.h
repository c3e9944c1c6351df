/* SPDX-License-Identifier: Apache-2.0
 *
 * fs: a store in a local directory. A key is a path below the root, byte for byte, so
 * that other programs can read and write the same tree. What is the store's own lies in
 * ROOT/.tidegate/:
 *
 *   format      the version of all this; a newer one is refused
 *   tmp/RUN/    files that are being written; `lock` in it is flocked while RUN lives
 *   aside/RUN/  objects that are being expired (expire.c)
 *   locks/      one file per shard of keys, flocked by put_if
 *
 * RUN is a fresh random name per store and process. Arrows: core only; every change goes
 * through loop/disk.h.
 *
 *   fs.c      the kind: options, dispatch       begin.c   the private directory
 *   path.c    keys to descriptors, confined     commit.c  directories to disk
 *   read.c    stat, open, read                  quick.c   the same from memory, at once
 *   write.c   create, commit, put, put_if       append.c  the growing object
 *   change.c  copy, move, concat, remove        list.c    pages of names
 *   expire.c  touch, expire and the rescue     snapshot.c  names kept between pages
 *
 * Threads: `work` functions run on the pool, in the store's lane; everything that touches
 * a sink, a source or op's end runs on the op's worker. A function that returns int
 * returns 0 or any negative code; fs_code folds it into the store's table.
 *
 * kinds_add(&fs_kind) makes the kind known; the rest of this header is private to the
 * folder.
 */
#ifndef BACKENDS_FS_H
#define BACKENDS_FS_H

#include "backends/fs/snapshot.h"
#include "loop/disk.h"
#include "store/key.h"
#include "store/store.h"
#include "stream/file.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

extern const struct store_kind fs_kind;

#define FS_FORMAT 1
/* Type and metadata, when an object has them. It then has the sticky bit, which means nothing
 * else on a file, so that nobody asks for an attribute that is not there. */
#define FS_XATTR "user.tidegate"
#define FS_DESCRIBED S_ISVTX
#define FS_MODE 0644
/* How often a step is tried again that lost a race against somebody who removes the empty
 * directory under it; then the answer is E_BUSY. */
#define FS_TRIES 100

/* A change whose directories are to be made durable before it is acknowledged. */
struct commit {
    struct commit *next;
    int dirs[2]; /* owned descriptors: where names came and went */
    size_t n_dirs;
    int rc;
    struct worker *worker;
    struct call call;
    void (*done)(struct commit *);
};

/* Group commit: what waits for the next batch. */
struct commits {
    pthread_mutex_t lock; /* guards first, last, running */
    struct commit *first, *last;
    bool running;
    pthread_mutex_t made_lock; /* guards made; held across mkdir, so never on a worker */
    int made[64];              /* directories that got a new subdirectory */
    size_t n_made;
};

struct fs {
    struct store store;
    char *path;
    bool sync;
    uint64_t reserve; /* bytes that stay free */
    int root, private, tmp, aside, locks, run_lock;
    bool quick; /* the file system can say "not in memory" instead of waiting */
    char run[17];
    struct lane *lane;      /* for everything */
    struct lane *sync_lane; /* one at a time: batches never overlap */
    struct commits commits;
    struct snapshots snapshots;
    atomic_uint_fast64_t next_temp;
};

#define TEMP_NAME 24

/* One operation on its way. */
struct fs_op {
    struct fs *fs;
    struct op *op;
    struct commit commit;
    int fd; /* the file that open, create and append found or made; -1: none */
    char temp[TEMP_NAME];
};

/* A step on the pool, and for those that hand out a sink or a source, what makes it on
 * the worker. */
struct fs_verb {
    int (*work)(struct fs_op *o);
    void (*finish)(struct fs_op *o);
};

/* fs.c */
int fs_code(struct fs *fs, const char *what, const char *key, int rc);
/* 0 or -ENOSPC when n more bytes would eat into the reserve. */
int fs_reserve(struct fs *fs, uint64_t n);
/* The same as file_sink's reserve. */
int fs_reserve_cb(void *fs, uint64_t n);

/* begin.c */
int fs_begin(struct store *s, char **why);
/* Closes what begin opened. */
void fs_close(struct fs *fs);

/* path.c. Descriptors that come out are owned by the caller and close-on-exec. */
int path_open(struct fs *fs, const char *path, int flags);
/* Opens the directory name in dir ("." for itself) to be read; it is no symlink. NULL, and
 * why in *rc. */
DIR *path_opendir(int dir, const char *name, int *rc);
/* The same of an open directory, which it takes; fd may be what an opening failed with. */
DIR *path_fdopendir(int fd, int *rc);
/* Opens the directory that holds key's last segment; make: makes what is missing. base
 * points into key. */
int path_parent(struct fs *fs, const char *key, bool make, int *dir, const char **base);
/* The regular file base in dir; -ENOENT when there is none or a directory; -ELOOP for a
 * symlink. */
int path_stat(int dir, const char *base, struct stat *st);
/* Opens the object key; -ENOENT when there is none. Looks aside. */
int path_object(struct fs *fs, const char *key, int flags, int *fd, struct stat *st);
/* Renames to key's place, making directories; dir of the target goes to c. */
int path_place(struct fs *fs, int fromdir, const char *from, const char *key,
               bool keep_target, struct commit *c);
/* Removes the directories above key that are empty now, the deepest of them open as dir
 * (taken); the first one that stays goes to c. */
void path_prune(struct fs *fs, const char *key, int dir, struct commit *c);

/* commit.c */
void commits_init(struct commits *q);
void commits_fini(struct commits *q);
/* Takes dir. */
void commit_dir(struct commit *c, int dir);
/* mkdir, whose parent is made durable with whatever is committed next. */
int commit_mkdir(struct fs *fs, int dir, const char *name);
/* Calls c->done once on the current worker, when c's directories and those made before
 * are durable; c->rc says whether they are. */
void commit_start(struct fs *fs, struct commit *c, void (*done)(struct commit *));
/* Closes the directories of a change that failed. */
void commit_drop(struct commit *c);

/* quick.c */
/* Can fd's file system be asked without waiting? */
bool quick_probe(int fd);
/* Answers stat, open and read on the worker if all it takes is in memory. false: nothing was
 * done, ask the pool. */
bool quick_answer(struct fs *fs, struct op *op);

/* read.c */
uint64_t fs_mtime(const struct stat *st);
/* Everything the object is, from its open file. */
int fs_object(int fd, const struct stat *st, struct object *object);
int fs_stat(struct fs_op *o);
int fs_open(struct fs_op *o);
void fs_open_finish(struct fs_op *o);
/* The source of an open over fd, which it takes; sets op->source or op->rc. */
void fs_open_source(struct fs *fs, struct op *op, int fd);
/* Without the description: what fstat said. */
void fs_describe(const struct stat *st, struct object *object);
int fs_read(struct fs_op *o);

/* write.c */
/* A new file in tmp; its name is written to name. Returns a descriptor. */
int temp_open(struct fs *fs, char name[TEMP_NAME]);
/* Does nothing when there is neither type nor metadata. */
int temp_describe(int fd, const char *type, const char *meta, size_t meta_n);
/* Everything behind the last byte: the time, the sync. */
int temp_seal(struct fs *fs, int fd, const char *name);
/* Closes fd, unlinks the file. */
void temp_drop(struct fs *fs, int fd, const char *name);
int fs_create(struct fs_op *o);
void fs_create_finish(struct fs_op *o);
int fs_commit(struct fs_op *o);
int fs_put(struct fs_op *o);
int fs_put_if(struct fs_op *o);

/* append.c */
int fs_append(struct fs_op *o);
void fs_append_finish(struct fs_op *o);

/* change.c */
int fs_copy(struct fs_op *o);
int fs_move(struct fs_op *o);
int fs_concat(struct fs_op *o);
int fs_remove(struct fs_op *o);
int fs_remove_prefix(struct fs_op *o);

/* list.c */
int fs_list(struct fs_op *o);

/* expire.c */
int fs_touch(struct fs_op *o);
int fs_expire(struct fs_op *o);
/* Brings key back if somebody is expiring it now. Best effort: look again afterwards. */
void aside_rescue(struct fs *fs, const char *key);
/* Brings back all that a run that died left aside/RUN. */
void aside_restore(struct fs *fs, const char *run);

#endif
