/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/crash_rig.h"

#include "base/base.h"
#include "base/clock.h"
#include "loop/disk.h"
#include "spec/unit/crash_state.h"
#include "spec/unit/store_tree.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NEVER SIZE_MAX

static int sync_less(void *arg, const char *op, int dir, const char *path, const char *to,
                     int fd, uint64_t offset, uint64_t n)
{
    (void)arg, (void)dir, (void)path, (void)to, (void)fd, (void)offset, (void)n;
    return strstr(op, "sync") != NULL;
}

/* Thousands of trees are made: in memory, if that can hold attributes (Linux 6.6). */
static void choose_tmpdir(void)
{
    int fd = memfd_create("probe", MFD_CLOEXEC);
    if (fd >= 0 && fsetxattr(fd, "user.probe", "", 0, 0) == 0 &&
        access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    close(fd);
}

void crash_open(struct crash *c)
{
    memset(c, 0, sizeof *c);
    choose_tmpdir();
    char *around = xasprintf("%s/work", unit_tmpdir());
    char *root = xasprintf("%s/below/store", around);
    struct store_option options[] = {{"reserve", "0"}, {"root", root}, {NULL, NULL}};
    EXPECT_EQ(mkdir(around, 0755), 0);
    crash_log_start(&c->log, around);
    rig_open(&c->rig, "fs", options);
    c->begun = c->log.n;
    free(around);
    free(root);
}

void crash_worked(struct crash *c)
{
    rig_settle(&c->rig);
    crash_log_stop(&c->log);
    store_unref(c->rig.store);
    c->rig.store = NULL;
}

void crash_close(struct crash *c)
{
    rig_close(&c->rig);
    crash_log_free(&c->log);
    free(c->seen);
    free(c->fault);
}

void crash_case(void (*work)(struct crash *c))
{
    struct crash c;
    crash_open(&c);
    work(&c);
    crash_worked(&c);
    const char *fault = crash_replay(&c);
    if (fault)
        unit_fail(__FILE__, __LINE__, "%s", fault);
    printf("%zu states of %zu records, %zu different\n", c.trees, c.log.n, c.fresh);
    crash_close(&c);
}

size_t crash_starts(struct crash *c, const char *key, const char *bytes)
{
    EXPECT(c->n_values < sizeof c->values / sizeof c->values[0]);
    size_t n = bytes ? strlen(bytes) : 0;
    c->values[c->n_values] = (struct crash_value){.key = key,
                                                  .bytes = bytes,
                                                  .least = n,
                                                  .most = n,
                                                  .started = crash_log_now(&c->log),
                                                  .acked = NEVER};
    return c->n_values++;
}

size_t crash_appends(struct crash *c, const char *key, const char *bytes, size_t from,
                     size_t to)
{
    size_t change = crash_starts(c, key, bytes);
    c->values[change].least = from;
    c->values[change].most = to;
    return change;
}

void crash_acked(struct crash *c, size_t change)
{
    c->values[change].acked = crash_log_now(&c->log);
}

void crash_kept(struct crash *c, size_t change, size_t n)
{
    EXPECT(c->n_values < sizeof c->values / sizeof c->values[0]);
    c->values[c->n_values] = c->values[change];
    c->values[c->n_values].least = n;
    crash_acked(c, c->n_values++);
}

void crash_put(struct crash *c, const char *key, const char *text)
{
    size_t change = crash_starts(c, key, text);
    EXPECT_EQ(rig_put(&c->rig, key, text), 0);
    crash_acked(c, change);
}

void crash_remove(struct crash *c, const char *key)
{
    size_t change = crash_starts(c, key, NULL);
    EXPECT_EQ(rig_remove(&c->rig, key), 0);
    crash_acked(c, change);
}

void crash_move(struct crash *c, const char *key, const char *to, const char *text)
{
    size_t gone = crash_starts(c, key, NULL), there = crash_starts(c, to, text);
    EXPECT(c->n_moves < sizeof c->moves / sizeof c->moves[0]);
    c->moves[c->n_moves].from = key;
    c->moves[c->n_moves].to = to;
    c->moves[c->n_moves++].since = crash_log_now(&c->log);
    EXPECT_EQ(rig_two(&c->rig, OP_move, key, to), 0);
    crash_acked(c, gone);
    crash_acked(c, there);
}

void crash_append(struct crash *c, const char *key, const char *text, size_t from,
                  size_t to)
{
    char *part = xmemdup(text + from, to - from);
    size_t change = crash_appends(c, key, text, from, to);
    EXPECT_EQ(rig_append_text(&c->rig, key, from, part), 0);
    crash_kept(c, change, to);
    free(part);
}

void crash_remove_prefix(struct crash *c, const char *prefix, const char *const *keys,
                         size_t n)
{
    struct op op;
    size_t first = c->n_values;
    for (size_t i = 0; i < n; i++)
        crash_starts(c, keys[i], NULL);
    op_init(&op, c->rig.store, OP_remove_prefix, NULL);
    op.key = prefix;
    EXPECT_EQ(rig_run(&c->rig, &op), 0);
    EXPECT_EQ(op.count, n);
    op_fini(&op);
    for (size_t i = 0; i < n; i++)
        crash_acked(c, first + i);
}

/* What the store says about a key, and whether that is all right. */
static bool may_hold(const struct crash_value *v, const struct op *op)
{
    if (op->rc || !v->bytes)
        return op->rc == E_NOT_FOUND && !v->bytes;
    return op->out_n >= v->least && op->out_n <= v->most &&
           memcmp(op->out, v->bytes, op->out_n) == 0 && op->object.modified >= v->since &&
           (!v->type || (op->object.type && strcmp(v->type, op->object.type) == 0));
}

/* The promises about one key: the last acknowledged change and whatever began later. */
static bool is_promised(struct crash *c, const char *key, const struct op *op, size_t at)
{
    bool absent = true, ok = false;
    for (size_t i = c->n_values; i-- > 0;) {
        const struct crash_value *v = &c->values[i];
        if (strcmp(v->key, key) != 0 || v->started >= at)
            continue;
        ok = ok || may_hold(v, op);
        if (v->acked <= at) {
            absent = false;
            break;
        }
    }
    return ok || (absent && op->rc == E_NOT_FOUND);
}

static void blame(struct crash *c, const struct crash_state *s, const char *what,
                  const char *key, int rc)
{
    c->fault = xasprintf("%s: %s %s (crash before record %zu of %zu)", key, what,
                         rc ? err_name(rc) : "", s->at, s->log->n);
}

/* Reads one key. `names` is a listing, with blanks around each name. */
static void check_key(struct crash *c, const struct crash_state *s, const char *key,
                      const char *names, bool *there)
{
    struct op op;
    char *word = xasprintf(" %s ", key);
    op_init(&op, c->rig.store, OP_read, NULL);
    op.key = key;
    op.limit = 1 << 20;
    int rc = rig_run(&c->rig, &op);
    *there = rc == 0;
    if (!is_promised(c, key, &op, s->at))
        blame(c, s, "does not hold what was promised", key, rc);
    else if (*there != (strstr(names, word) != NULL))
        blame(c, s, "is listed or not, against the truth", key, rc);
    op_fini(&op);
    free(word);
}

/* Is the first value of its key at i? */
static bool is_first(const struct crash *c, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(c->values[j].key, c->values[i].key) == 0)
            return false;
    return true;
}

/* How many moves began before a crash there. */
static size_t moves_until(const struct crash *c, size_t at)
{
    size_t n = 0;
    while (n < c->n_moves && c->moves[n].since < at)
        n++;
    return n;
}

static void check_keys(struct crash *c, const struct crash_state *s)
{
    char *list = rig_list(&c->rig, "", false, NULL, 0);
    char *names = xasprintf(" %s ", list);
    size_t listed = 0, found = 0;
    size_t moves = moves_until(c, s->at);
    bool found_moved = moves == 0;
    for (const char *p = list; *p; p++)
        listed += p == list || p[-1] == ' ';
    for (size_t i = 0; i < c->n_values && !c->fault; i++) {
        const char *key = c->values[i].key;
        bool there;
        if (!is_first(c, i))
            continue;
        check_key(c, s, key, names, &there);
        found += there;
        found_moved |= there && moves &&
                       (strcmp(key, c->moves[moves - 1].from) == 0 ||
                        strcmp(key, c->moves[moves - 1].to) == 0);
    }
    if (!c->fault && found != listed)
        blame(c, s, "names that nobody wrote", list, 0);
    if (!c->fault && !found_moved)
        blame(c, s, "was lost on its way", c->moves[moves - 1].from, 0);
    free(list);
    free(names);
}

/* A new run begins on the tree. */
static void check_tree(struct crash *c, const struct crash_state *s, const char *root)
{
    struct store_option options[] = {{"reserve", "0"}, {"root", root}};
    char *why = NULL;
    EXPECT_EQ(store_get("fs", options, 2, &c->rig.store, &why), 0);
    int rc = store_begin_all(&why);
    if (rc) {
        blame(c, s, "the store does not begin:", why, rc);
    } else {
        char *own = c->rig.root;
        c->rig.root = (char *)root;
        if (tree_files(&c->rig, ".tidegate/tmp") ||
            tree_files(&c->rig, ".tidegate/aside"))
            blame(c, s, "files are left", ".tidegate", 0);
        else
            check_keys(c, s);
        c->rig.root = own;
    }
    store_unref(c->rig.store);
    c->rig.store = NULL;
    free(why);
}

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

/* Promises that a crash here is held to; states are new again when there are others. */
static size_t changes_until(const struct crash *c, size_t at)
{
    size_t n = moves_until(c, at);
    for (size_t i = 0; i < c->n_values; i++)
        n += (c->values[i].started < at) + (c->values[i].acked <= at);
    return n;
}

static bool is_seen(struct crash *c, uint64_t id)
{
    for (size_t i = 0; i < c->n_seen; i++)
        if (c->seen[i] == id)
            return true;
    c->seen = xrealloc(c->seen, (c->n_seen + 1) * sizeof *c->seen);
    c->seen[c->n_seen++] = id;
    return false;
}

static bool visit(void *arg, struct crash_state *s)
{
    struct crash *c = arg;
    c->trees++;
    if (is_seen(c, crash_state_id(s)))
        return true;
    c->fresh++;
    char *folder = xasprintf("%s/crashed", unit_tmpdir());
    char *root = xasprintf("%s/below/store", folder);
    crash_state_write(s, folder);
    check_tree(c, s, root);
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(folder);
    free(root);
    return !c->fault;
}

const char *crash_replay(struct crash *c)
{
    disk_set_hook(sync_less, NULL);
    free(c->fault);
    c->fault = NULL;
    c->trees = c->fresh = 0;
    for (size_t at = 0; at <= c->log.n && !c->fault; at++) {
        size_t changes = changes_until(c, at);
        if (changes != c->changes)
            c->n_seen = 0;
        c->changes = changes;
        crash_states(&c->log, at, visit, c);
    }
    disk_set_hook(NULL, NULL);
    return c->fault;
}
