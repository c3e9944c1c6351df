/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/crash_state.h"

#include "base/base.h"
#include "base/clock.h"
#include "spec/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FEW 32    /* states: then all of them are visited */
#define SAMPLED 6 /* else, besides the extremes */

/* One name of the tree. */
struct crash_name {
    size_t dir, node;
    const char *name;
    bool reached; /* from the top */
};

/* What a file or directory may have kept. */
struct choices {
    struct crash_kept *all;
    size_t n;
};

static bool is_about(const struct record *r, size_t node, bool is_dir)
{
    switch (r->kind) {
    case REC_ADD:
    case REC_REMOVE:
        return is_dir && r->dir == node;
    case REC_RENAME:
        return is_dir && (r->dir == node || r->todir == node);
    case REC_WRITE:
    case REC_TRUNCATE:
    case REC_TIME:
    case REC_MODE:
    case REC_XATTR:
        return !is_dir && r->node == node;
    default:
        return false;
    }
}

static void choose(struct choices *c, size_t until, size_t half, bool old_time)
{
    c->all = xrealloc(c->all, (c->n + 1) * sizeof *c->all);
    c->all[c->n++] = (struct crash_kept){until, half, old_time};
}

/* From the least that is kept to the most. */
static void find_choices(struct crash_log *log, size_t at, size_t node, struct choices *c)
{
    const struct crash_node *it = &log->nodes[node];
    size_t synced = 0, timed = 0;
    bool new_time = false;
    *c = (struct choices){0};
    for (size_t i = it->born; i < at; i++) {
        const struct record *r = &log->all[i];
        bool all = r->node == node && (r->kind == REC_SYNC || r->kind == REC_SYNCDIR);
        if (all || (r->node == node && r->kind == REC_DATASYNC))
            synced = i + 1;
        timed = all ? i + 1 : timed;
    }
    for (size_t i = timed; i < at; i++)
        new_time |= log->all[i].kind == REC_TIME && log->all[i].node == node;
    choose(c, synced, 0, false);
    if (new_time)
        choose(c, synced, 0, true);
    for (size_t i = synced; i < at; i++) {
        const struct record *r = &log->all[i];
        if (!is_about(r, node, it->is_dir))
            continue;
        if (r->kind == REC_WRITE && r->n > 1)
            choose(c, i, r->n / 2, false);
        choose(c, i + 1, 0, false);
    }
}

/* Sees to it that the directory can be reached as it could before record `at`, and says
 * whether that needed anything. */
static bool reach(struct crash_state *s, size_t dir)
{
    bool changed = false;
    while (dir) {
        size_t born = s->log->nodes[dir].born;
        size_t up = s->log->all[born].dir;
        if (s->kept[up].until <= born) {
            s->kept[up].until = born + 1;
            changed = true;
        }
        dir = up;
    }
    return changed;
}

static bool keep_until(struct crash_state *s, size_t dir, size_t until)
{
    if (s->kept[dir].until >= until)
        return false;
    s->kept[dir].until = until;
    return true;
}

/* The last two assumptions of the header: what one directory kept binds others. */
static void close_state(struct crash_state *s)
{
    bool changed = true;
    while (changed) {
        changed = false;
        for (size_t i = 0; i < s->at; i++) {
            const struct record *r = &s->log->all[i];
            bool gone = (r->kind == REC_RENAME || r->kind == REC_REMOVE) &&
                        s->kept[r->dir].until > i;
            if (gone && r->kind == REC_RENAME && r->dir != r->todir) {
                changed |= keep_until(s, r->todir, i + 1);
                changed |= reach(s, r->todir);
            }
            if (gone && r->kind == REC_REMOVE && s->log->nodes[r->node].is_dir)
                changed |= keep_until(s, r->node, i);
        }
    }
}

static struct crash_name *find_name(struct crash_state *s, size_t dir, const char *name)
{
    for (size_t i = 0; i < s->n_names; i++)
        if (s->names[i].dir == dir && strcmp(s->names[i].name, name) == 0)
            return &s->names[i];
    return NULL;
}

static void set_name(struct crash_state *s, size_t dir, const char *name, size_t node)
{
    struct crash_name *at = find_name(s, dir, name);
    if (!at) {
        if (s->n_names == s->names_cap) {
            s->names_cap = s->names_cap ? 2 * s->names_cap : 64;
            s->names = xrealloc(s->names, s->names_cap * sizeof *s->names);
        }
        at = &s->names[s->n_names++];
    }
    *at = (struct crash_name){dir, node, name, false};
}

static void drop_name(struct crash_state *s, size_t dir, const char *name)
{
    struct crash_name *at = find_name(s, dir, name);
    if (at)
        *at = s->names[--s->n_names];
}

static void mark_reached(struct crash_state *s, size_t dir)
{
    for (size_t i = 0; i < s->n_names; i++) {
        if (s->names[i].dir != dir || s->names[i].reached)
            continue;
        s->names[i].reached = true;
        if (s->log->nodes[s->names[i].node].is_dir)
            mark_reached(s, s->names[i].node);
    }
}

static void build_tree(struct crash_state *s)
{
    s->n_names = 0;
    for (size_t i = 0; i < s->at; i++) {
        const struct record *r = &s->log->all[i];
        bool from = r->kind <= REC_RENAME && s->kept[r->dir].until > i;
        if (from && r->kind == REC_ADD)
            set_name(s, r->dir, r->name, r->node);
        else if (from)
            drop_name(s, r->dir, r->name);
        if (r->kind == REC_RENAME && s->kept[r->todir].until > i)
            set_name(s, r->todir, r->to, r->node);
    }
    mark_reached(s, 0);
}

/* One choice per node, by its number in `pick`. */
static bool visit_pick(struct crash_state *s, const struct choices *c, const size_t *pick,
                       bool (*visit)(void *arg, struct crash_state *s), void *arg)
{
    for (size_t i = 0; i < s->log->n_nodes; i++)
        s->kept[i] = c[i].n ? c[i].all[pick[i]] : (struct crash_kept){0};
    close_state(s);
    build_tree(s);
    return visit(arg, s);
}

/* The next of all picks, as a counter counts; false behind the last. */
static bool next_pick(const struct choices *c, size_t *pick, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (c[i].n && ++pick[i] < c[i].n)
            return true;
        pick[i] = 0;
    }
    return false;
}

static void fill_pick(const struct choices *c, size_t *pick, size_t n, bool most)
{
    for (size_t i = 0; i < n; i++)
        pick[i] = most && c[i].n ? c[i].n - 1 : 0;
}

static bool sample(struct crash_state *s, const struct choices *c, size_t *pick,
                   bool (*visit)(void *arg, struct crash_state *s), void *arg)
{
    size_t n = s->log->n_nodes;
    bool go = true;
    for (int all = 0; all < 2; all++) {
        fill_pick(c, pick, n, all);
        go = go && visit_pick(s, c, pick, visit, arg);
        for (size_t i = 0; go && i < n; i++) {
            if (c[i].n < 2)
                continue;
            pick[i] = all ? 0 : c[i].n - 1;
            go = visit_pick(s, c, pick, visit, arg);
            pick[i] = all ? c[i].n - 1 : 0;
        }
    }
    for (size_t k = 0; go && k < SAMPLED; k++) {
        for (size_t i = 0; i < n; i++)
            pick[i] = c[i].n ? unit_random() % c[i].n : 0;
        go = visit_pick(s, c, pick, visit, arg);
    }
    return go;
}

bool crash_states(struct crash_log *log, size_t at,
                  bool (*visit)(void *arg, struct crash_state *s), void *arg)
{
    size_t n = log->n_nodes, product = 1;
    struct crash_state s = {.log = log, .at = at};
    struct choices *c = xalloc(n * sizeof *c);
    size_t *pick = xalloc(n * sizeof *pick);
    bool go = true;
    s.kept = xalloc(n * sizeof *s.kept);
    for (size_t i = 0; i < n; i++) {
        if (log->nodes[i].born > at)
            continue;
        find_choices(log, at, i, &c[i]);
        product = product > FEW ? product : product * c[i].n;
    }
    if (product > FEW) {
        go = sample(&s, c, pick, visit, arg);
    } else {
        do {
            go = visit_pick(&s, c, pick, visit, arg);
        } while (go && next_pick(c, pick, n));
    }
    for (size_t i = 0; i < n; i++)
        free(c[i].all);
    free(c);
    free(pick);
    free(s.kept);
    free(s.names);
    return go;
}

/* Only what can be read back counts: of a file the changes that were kept. */
static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0xff51afd7ed558ccd);
    return h ^ h >> 32;
}

static uint64_t file_id(const struct crash_state *s, size_t node)
{
    const struct crash_kept *k = &s->kept[node];
    uint64_t h = mix(k->half, k->old_time);
    for (size_t i = s->log->nodes[node].born; i < k->until; i++)
        if (is_about(&s->log->all[i], node, false))
            h = mix(h, i);
    return h;
}

uint64_t crash_state_id(const struct crash_state *s)
{
    uint64_t id = 0;
    for (size_t i = 0; i < s->n_names; i++) {
        const struct crash_name *e = &s->names[i];
        if (!e->reached)
            continue;
        uint64_t h = mix(mix(1, e->dir), e->node);
        for (const char *p = e->name; *p; p++)
            h = mix(h, (unsigned char)*p);
        id += s->log->nodes[e->node].is_dir ? h : mix(h, file_id(s, e->node));
    }
    return id;
}

static void write_record(int fd, const struct record *r, size_t n)
{
    if (r->kind == REC_WRITE)
        EXPECT_EQ(pwrite(fd, r->bytes, n, (off_t)r->offset), (int64_t)n);
    else if (r->kind == REC_TRUNCATE)
        EXPECT_EQ(ftruncate(fd, (off_t)r->offset), 0);
    else if (r->kind == REC_MODE)
        EXPECT_EQ(fchmod(fd, (mode_t)r->n), 0);
    else if (r->kind == REC_XATTR)
        EXPECT_EQ(fsetxattr(fd, r->name, r->bytes, r->n, 0), 0);
}

/* The time that was kept: the last one set, or of those before the last fsync. */
static uint64_t time_of(const struct crash_state *s, size_t node)
{
    uint64_t time = 0, synced = 0;
    for (size_t i = s->log->nodes[node].born; i < s->kept[node].until; i++) {
        const struct record *r = &s->log->all[i];
        if (r->node == node && r->kind == REC_TIME)
            time = r->offset;
        if (r->node == node && r->kind == REC_SYNC)
            synced = time;
    }
    return s->kept[node].old_time ? synced : time;
}

static void write_file(const struct crash_state *s, size_t node, const char *path)
{
    const struct crash_kept *k = &s->kept[node];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    EXPECT(fd >= 0);
    for (size_t i = s->log->nodes[node].born; i < k->until; i++)
        if (is_about(&s->log->all[i], node, false))
            write_record(fd, &s->log->all[i], s->log->all[i].n);
    if (k->half)
        write_record(fd, &s->log->all[k->until], k->half);
    uint64_t time = time_of(s, node);
    struct timespec times[2] = {{0, UTIME_OMIT},
                                {(time_t)(time / NS_PER_S), (long)(time % NS_PER_S)}};
    EXPECT_EQ(futimens(fd, times), 0);
    close(fd);
}

/* A file with two names is made once; `made` says where. */
static void write_dir(const struct crash_state *s, size_t dir, const char *path,
                      char **made)
{
    EXPECT_EQ(mkdir(path, 0755), 0);
    for (size_t i = 0; i < s->n_names; i++) {
        const struct crash_name *e = &s->names[i];
        if (e->dir != dir)
            continue;
        char *below = xasprintf("%s/%s", path, e->name);
        if (s->log->nodes[e->node].is_dir)
            write_dir(s, e->node, below, made);
        else if (made[e->node])
            EXPECT_EQ(link(made[e->node], below), 0);
        else
            write_file(s, e->node, below);
        if (made[e->node])
            free(below);
        else
            made[e->node] = below;
    }
}

void crash_state_write(const struct crash_state *s, const char *folder)
{
    char **made = xalloc(s->log->n_nodes * sizeof *made);
    write_dir(s, 0, folder, made);
    for (size_t i = 0; i < s->log->n_nodes; i++)
        free(made[i]);
    free(made);
}
