/* SPDX-License-Identifier: Apache-2.0
 *
 * Listing in byte order of whole keys, with the memory of a page.
 *
 * A directory is scanned once; of its names only the smallest that can matter are kept, a
 * directory's own with a '/' behind it, because that is how its keys sort: "a-b" < "a/b"
 * < "ab". They are walked in order, directories by the same step. If all that was kept is
 * used up and the page is not full (empty directories give nothing), the directory is
 * scanned again from there. No descriptor stays open on the way down, and below a depth
 * that no layout has a level keeps few names, so that a tree made to hurt costs time, not
 * memory.
 *
 * The rejected simpler way is a sorted copy of every directory: its memory belongs to
 * whoever fills the directory. Copies of large ones are kept within a bound, and only
 * while the directory has not changed (snapshot.h).
 */
#include "backends/fs/fs.h"

#include "backends/fs/snapshot.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEEP 32 /* levels that may keep a whole page */
#define DEEP_NAMES 16

/* The smallest names of a directory, while it is scanned a heap with the largest on top.
 */
struct names {
    char **name;
    size_t n, cap, room;
    bool cut; /* there were more */
};

struct walk {
    struct fs *fs;
    struct op *op;
    struct entry *entries;
    size_t n, most;         /* one more than the limit: it says whether more follow */
    char path[KEY_MAX + 2]; /* of the directory at hand, with its '/', or "" */
};

static void swap(char **a, char **b)
{
    char *t = *a;
    *a = *b;
    *b = t;
}

static void sift_up(char **heap, size_t i)
{
    while (i && strcmp(heap[i], heap[(i - 1) / 2]) > 0) {
        swap(&heap[i], &heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static void sift_down(char **heap, size_t n)
{
    for (size_t i = 0, child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && strcmp(heap[child + 1], heap[child]) > 0)
            child++;
        if (strcmp(heap[child], heap[i]) <= 0)
            return;
        swap(&heap[child], &heap[i]);
    }
}

static void names_add(struct names *s, const char *name, size_t n, bool dir)
{
    char text[NAME_MAX + 2];
    memcpy(text, name, n);
    text[n] = '/';
    text[n + dir] = '\0';
    if (s->n == s->room) {
        s->cut = true;
        if (strcmp(text, s->name[0]) > 0)
            return;
        free(s->name[0]);
        s->name[0] = xstrdup(text);
        sift_down(s->name, s->n);
        return;
    }
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 16;
        s->name = xrealloc(s->name, s->cap * sizeof *s->name);
    }
    s->name[s->n] = xstrdup(text);
    sift_up(s->name, s->n++);
}

static void names_fini(struct names *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->name[i]);
    free(s->name);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static DIR *open_dir(struct fs *fs, const char *path, int *rc)
{
    char plain[KEY_MAX + 2];
    size_t n = strlen(path);
    memcpy(plain, path, n + 1);
    if (n)
        plain[n - 1] = '\0';
    return path_fdopendir(path_open(fs, plain, O_RDONLY | O_DIRECTORY), rc);
}

/* A regular file or a directory, else 0. */
static mode_t kind_of(DIR *d, const struct dirent *e)
{
    struct stat st;
    if (e->d_type == DT_REG || e->d_type == DT_DIR)
        return e->d_type == DT_REG ? S_IFREG : S_IFDIR;
    if (e->d_type != DT_UNKNOWN ||
        fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? st.st_mode & S_IFMT : 0;
}

/* The name of an entry that the store shows, or n 0. */
static struct span shown(const struct walk *w, const struct dirent *e)
{
    struct span name = span_of(e->d_name);
    size_t at = strlen(w->path);
    bool hidden = (at == 0 && span_is(name, KEY_PRIVATE)) || at + name.n > KEY_MAX;
    return hidden || key_check(name) != 0 ? (struct span){e->d_name, 0} : name;
}

/* Whether the whole name (path, then name, a directory's '/' behind it) can hold anything
 * of the page: it begins with the prefix, or leads to it, and comes after `after`. */
static bool wanted(const struct walk *w, struct span name, bool dir)
{
    char whole[KEY_MAX + NAME_MAX + 3];
    size_t at = strlen(w->path), n = at + name.n + dir;
    memcpy(whole, w->path, at);
    memcpy(whole + at, name.p, name.n);
    whole[at + name.n] = '/';
    whole[n] = '\0';
    const char *prefix = w->op->key, *after = w->op->after;
    size_t common = strlen(prefix) < n ? strlen(prefix) : n;
    if (memcmp(whole, prefix, common) != 0 || (!dir && n < strlen(prefix)))
        return false;
    if (strcmp(whole, after) > 0)
        return true;
    bool folds = w->op->delimiter && n >= strlen(prefix);
    return dir && !folds && strncmp(after, whole, n) == 0;
}

/* Adds a name, as it sorts, if it can matter; from as for `scan`. */
static void consider(struct walk *w, const char *from, const char *text, size_t n,
                     struct names *s)
{
    bool dir = text[n - 1] == '/';
    if ((!from || strcmp(text, from) > 0) && wanted(w, (struct span){text, n - dir}, dir))
        names_add(s, text, n - dir, dir);
}

static int read_names(struct walk *w, DIR *d, const char *from, struct names *s)
{
    struct snapshot_maker maker;
    int rc = 0;
    snapshot_begin(&maker, dirfd(d), clock_wall());
    for (struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;) {
        struct span name = shown(w, e);
        mode_t kind = name.n ? kind_of(d, e) : 0;
        char text[NAME_MAX + 2];
        if (op_is_cancelled(w->op))
            rc = E_CANCELLED;
        if (kind == 0)
            continue;
        memcpy(text, name.p, name.n);
        text[name.n] = '/';
        size_t n = name.n + S_ISDIR(kind);
        text[n] = '\0';
        snapshot_add(&maker, text, n);
        consider(w, from, text, n, s);
    }
    snapshot_end(&maker, &w->fs->snapshots, dirfd(d), rc == 0);
    return rc;
}

/* The first name that can matter: not before the prefix's part in this directory, nor
 * before `after`'s, nor before from. */
static size_t first_kept(const struct walk *w, const char *from, const struct snapshot *k)
{
    size_t at = strlen(w->path), i = 0;
    const char *bounds[] = {w->op->key, w->op->after};
    for (size_t b = 0; b < 2; b++) {
        char segment[KEY_MAX + 2];
        const char *slash;
        if (strncmp(bounds[b], w->path, at) != 0)
            continue;
        size_t n = strlen(bounds[b] + at);
        if ((slash = strchr(bounds[b] + at, '/')) != NULL)
            n = (size_t)(slash - (bounds[b] + at)) + 1;
        memcpy(segment, bounds[b] + at, n);
        segment[n] = '\0';
        size_t found = snapshot_seek(k, segment);
        i = found > i ? found : i;
    }
    if (from) {
        size_t found = snapshot_seek(k, from);
        i = found > i ? found : i;
    }
    return i;
}

/* As read_names, from a sorted copy: until the page is full or the prefix is behind. */
static void take_names(struct walk *w, const struct snapshot *k, const char *from,
                       struct names *s)
{
    size_t at = strlen(w->path), key_n = strlen(w->op->key);
    const char *rest = key_n > at ? w->op->key + at : "";
    for (size_t i = first_kept(w, from, k); i < snapshot_count(k) && !s->cut; i++) {
        const char *name = snapshot_name(k, i);
        size_t n = strlen(name), common = strlen(rest) < n ? strlen(rest) : n;
        if (memcmp(name, rest, common) > 0)
            break;
        consider(w, from, name, n, s);
    }
}

/* The smallest names that can matter, in order, as many as s has room for. from: names at
 * or before it have been walked; NULL at first. */
static int scan(struct walk *w, const char *from, struct names *s)
{
    int rc;
    DIR *d = open_dir(w->fs, w->path, &rc);
    if (!d)
        return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
    struct snapshot *kept = snapshot_find(&w->fs->snapshots, dirfd(d));
    if (kept) {
        take_names(w, kept, from, s);
        snapshot_drop(&w->fs->snapshots, kept);
    } else {
        rc = read_names(w, d, from, s);
    }
    closedir(d);
    if (rc == 0 && s->n)
        qsort(s->name, s->n, sizeof *s->name, by_bytes);
    return rc;
}

static struct entry *add_entry(struct walk *w, const char *name)
{
    struct entry *e = &w->entries[w->n++];
    memset(e, 0, sizeof *e);
    e->name = xasprintf("%s%s", w->path, name);
    return e;
}

static void add_object(struct walk *w, int dir, const char *name)
{
    struct stat st;
    if (path_stat(dir, name, &st) != 0)
        return;
    struct entry *e = add_entry(w, name);
    e->size = (uint64_t)st.st_size;
    e->modified = fs_mtime(&st);
}

/* Whether an object lies anywhere below dir's name: a directory is a prefix only then. */
static int holds_object(int dir, const char *name, bool *found)
{
    int rc;
    DIR *d = path_opendir(dir, name, &rc);
    if (!d)
        return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
    for (struct dirent *e; rc == 0 && !*found && (e = readdir(d)) != NULL;) {
        mode_t kind = key_check(span_of(e->d_name)) == 0 ? kind_of(d, e) : 0;
        if (kind == S_IFREG)
            *found = true;
        else if (kind == S_IFDIR)
            rc = holds_object(dirfd(d), e->d_name, found);
    }
    closedir(d);
    return rc;
}

static int add_prefix(struct walk *w, int dir, const char *name)
{
    char plain[NAME_MAX + 1];
    bool found = false;
    memcpy(plain, name, strlen(name));
    plain[strlen(name) - 1] = '\0';
    int rc = holds_object(dir, plain, &found);
    if (rc == 0 && found)
        add_entry(w, name)->prefix = true;
    return rc;
}

static int walk_dir(struct walk *w, size_t depth);

static int descend(struct walk *w, const char *name, size_t depth)
{
    size_t at = strlen(w->path);
    memcpy(w->path + at, name, strlen(name) + 1);
    int rc = walk_dir(w, depth + 1);
    w->path[at] = '\0';
    return rc;
}

/* The names in order. dir is opened again after each descent, so that the descent holds
 * none. */
static int walk_names(struct walk *w, const struct names *s, size_t depth)
{
    DIR *d = NULL;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->n && w->n < w->most; i++) {
        const char *name = s->name[i];
        size_t n = strlen(name);
        bool dir = name[n - 1] == '/';
        bool folds = dir && w->op->delimiter && strlen(w->path) + n > strlen(w->op->key);
        if (dir && !folds) {
            if (d)
                closedir(d);
            d = NULL;
            rc = descend(w, name, depth);
            continue;
        }
        if (!d)
            d = open_dir(w->fs, w->path, &rc);
        if (d && folds)
            rc = add_prefix(w, dirfd(d), name);
        else if (d)
            add_object(w, dirfd(d), name);
        else
            rc = rc == -ENOENT ? 0 : rc;
    }
    if (d)
        closedir(d);
    return rc;
}

static int walk_dir(struct walk *w, size_t depth)
{
    char *from = NULL;
    bool again = true;
    int rc = 0;
    while (rc == 0 && again && w->n < w->most) {
        struct names s = {.room = depth < DEEP ? w->most - w->n : DEEP_NAMES};
        rc = scan(w, from, &s);
        if (rc == 0)
            rc = walk_names(w, &s, depth);
        again = s.cut;
        free(from);
        from = s.n ? xstrdup(s.name[s.n - 1]) : NULL;
        names_fini(&s);
    }
    free(from);
    return rc;
}

int fs_list(struct fs_op *o)
{
    struct op *op = o->op;
    struct walk w = {.fs = o->fs, .op = op, .most = (size_t)op->limit + 1};
    const char *slash = strrchr(op->key, '/');
    if (slash) {
        size_t n = (size_t)(slash - op->key) + 1;
        memcpy(w.path, op->key, n);
    }
    w.entries = xalloc(w.most * sizeof *w.entries);
    int rc = walk_dir(&w, 0);
    op->more = rc == 0 && w.n == w.most;
    if (op->more)
        free(w.entries[--w.n].name);
    op->entries = w.entries;
    op->n_entries = w.n;
    return rc;
}
