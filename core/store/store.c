/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include "store/cache.h"
#include "store/kinds.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* All stores of the process. A leaf lock: nothing of a kind is called while it is held.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct store *stores;

static int by_name(const void *a, const void *b)
{
    const struct store_option *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static bool kind_knows(const struct store_kind *kind, const char *option)
{
    for (const char *const *name = kind->options; *name; name++)
        if (strcmp(*name, option) == 0)
            return true;
    return false;
}

/* options sorted by name, each known and given once. */
static int check_options(const struct store_kind *kind,
                         const struct store_option *options, size_t n, char **why)
{
    for (size_t i = 0; i < n; i++) {
        if (!kind_knows(kind, options[i].name)) {
            *why = xasprintf("%s has no option \"%s\"", kind->name, options[i].name);
            return E_INVALID;
        }
        if (i && strcmp(options[i].name, options[i - 1].name) == 0) {
            *why = xasprintf("option \"%s\" is given twice", options[i].name);
            return E_INVALID;
        }
    }
    return 0;
}

/* "name=length:value" for each: no two different lists share a text. Owned. */
static char *canonical(const struct store_option *options, size_t n)
{
    char *text = xstrdup("");
    for (size_t i = 0; i < n; i++) {
        const char *value = options[i].value;
        char *longer =
            xasprintf("%s%s=%zu:%s;", text, options[i].name, strlen(value), value);
        free(text);
        text = longer;
    }
    return text;
}

void store_init(struct store *s, const struct store_kind *kind, char *id)
{
    s->magic = STORE_MAGIC;
    s->kind = kind;
    s->id = id;
    s->options = NULL;
    s->refs = 1;
    s->read_only = false;
    s->begun = false;
    s->next = NULL;
}

/* s->kind->free frees the whole struct, so what the head owns is taken out before. */
static void destroy(struct store *s)
{
    char *id = s->id, *options = s->options;
    s->kind->free(s);
    free(id);
    free(options);
}

/* The store in the list that is the same as made, with one more reference, or made
 * itself, now in the list. */
static struct store *intern(struct store *made)
{
    struct store *s;
    pthread_mutex_lock(&lock);
    for (s = stores; s; s = s->next)
        if (s->kind == made->kind && strcmp(s->options, made->options) == 0)
            break;
    if (s) {
        s->refs++;
    } else {
        made->next = stores;
        stores = made;
    }
    pthread_mutex_unlock(&lock);
    return s ? s : made;
}

int store_get(const char *kind_name, const struct store_option *options, size_t n,
              struct store **out, char **why)
{
    const struct store_kind *kind = kinds_find(kind_name);
    if (!kind) {
        *why = xasprintf("there is no kind of store \"%s\"", kind_name);
        return E_INVALID;
    }
    struct store_option *sorted = xalloc(n * sizeof *sorted);
    struct store *made = NULL;
    if (n) {
        memcpy(sorted, options, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, by_name);
    }
    int rc = check_options(kind, sorted, n, why);
    if (rc == 0)
        rc = kind->make(sorted, n, &made, why);
    if (rc == 0) {
        made->options = canonical(sorted, n);
        *out = intern(made);
        if (*out != made)
            destroy(made);
    }
    free(sorted);
    return rc;
}

struct store *store_ref(struct store *s)
{
    CHECK(s, STORE_MAGIC);
    pthread_mutex_lock(&lock);
    s->refs++;
    pthread_mutex_unlock(&lock);
    return s;
}

void store_unref(struct store *s)
{
    if (!s)
        return;
    CHECK(s, STORE_MAGIC);
    pthread_mutex_lock(&lock);
    bool last = --s->refs == 0;
    for (struct store **at = &stores; last && *at; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    if (last) {
        cache_forget_store(s);
        destroy(s);
    }
}

/* Any store that has not begun, with a reference, or NULL. */
static struct store *next_idle(void)
{
    struct store *s;
    pthread_mutex_lock(&lock);
    for (s = stores; s && s->begun; s = s->next)
        continue;
    if (s)
        s->refs++;
    pthread_mutex_unlock(&lock);
    return s;
}

static int begin(struct store *s, bool read_only, char **why)
{
    s->read_only = read_only;
    int rc = s->kind->begin(s, why);
    if (rc == 0)
        s->begun = true;
    return rc;
}

int store_begin(struct store *s, char **why)
{
    CHECK(s, STORE_MAGIC);
    return s->begun ? 0 : begin(s, false, why);
}

static int begin_all(bool read_only, char **why)
{
    struct store *s;
    int rc = 0;
    while (rc == 0 && (s = next_idle()) != NULL) {
        rc = begin(s, read_only, why);
        store_unref(s);
    }
    return rc;
}

int store_begin_all(char **why)
{
    return begin_all(false, why);
}

int store_begin_reading(char **why)
{
    return begin_all(true, why);
}
