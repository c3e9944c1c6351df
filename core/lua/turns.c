/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/turns.h"

#include "base/base.h"
#include "base/clock.h"
#include "base/list.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_AGAIN NS_PER_S /* while somebody else has the turn */

struct turn {
    struct list link;
    char *name;
    unsigned refs;
    uint64_t due; /* 0: nobody has planned it */
    bool taken;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list turns = {&turns, &turns};

static struct turn *find(const char *name)
{
    for (struct list *l = turns.next; l != &turns; l = l->next) {
        struct turn *t = CONTAINER(l, struct turn, link);
        if (strcmp(t->name, name) == 0)
            return t;
    }
    struct turn *t = xalloc(sizeof *t);
    t->name = xstrdup(name);
    list_init(&t->link);
    list_append(&turns, &t->link);
    return t;
}

struct turn *turn_get(const char *name)
{
    pthread_mutex_lock(&lock);
    struct turn *t = find(name);
    t->refs++;
    pthread_mutex_unlock(&lock);
    return t;
}

void turn_put(struct turn *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&lock);
    bool last = --t->refs == 0;
    if (last)
        list_remove(&t->link);
    pthread_mutex_unlock(&lock);
    if (last) {
        free(t->name);
        free(t);
    }
}

uint64_t turn_plan(struct turn *t, uint64_t due)
{
    pthread_mutex_lock(&lock);
    if (t->due == 0 || t->due > due)
        t->due = due;
    due = t->due;
    pthread_mutex_unlock(&lock);
    return due;
}

bool turn_take(struct turn *t, uint64_t now, uint64_t next, uint64_t *look)
{
    pthread_mutex_lock(&lock);
    bool mine = !t->taken && now >= t->due;
    if (mine) {
        t->taken = true;
        t->due = next;
    } else {
        *look = t->due > now ? t->due : now + LOOK_AGAIN;
    }
    pthread_mutex_unlock(&lock);
    return mine;
}

uint64_t turn_give(struct turn *t, uint64_t due)
{
    pthread_mutex_lock(&lock);
    assert(t->taken);
    t->taken = false;
    if (due)
        t->due = due;
    due = t->due;
    pthread_mutex_unlock(&lock);
    return due;
}
