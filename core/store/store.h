/* SPDX-License-Identifier: Apache-2.0
 *
 * store: the contract that every kind of store keeps, and nothing else: backends/
 * implement it, core/lua offers it to scripts. Rests on base, loop and stream.
 *
 *   store.h   the contract
 *   key.h     what a key may be
 *   cache.h   small contents that never change, in memory
 *   kinds.h   the table of kinds
 *
 * A store is one process-wide object, interned by kind and canonical options and counted
 * by those who name it. Every operation is a struct op that the caller embeds. op_start
 * never waits; done runs exactly once, from the run queue of the worker that started it,
 * never inside op_start. op_cancel only asks. The op's memory and everything its inputs
 * point at is lent until done. Whoever starts an operation holds a reference to the store
 * until done, and until the source or sink it got is closed.
 *
 * Durability: when an operation that changes something is done with 0, the change
 * survives a crash of the machine, unless the store was configured otherwise. When it
 * failed, it happened either whole or not at all.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/base.h"
#include "loop/loop.h"
#include "stream/stream.h"

#include <stdatomic.h>

#define STORE_MAGIC 0x57083000U
#define OP_MAGIC 0x09E2A700U

#define STORE_META_MAX 2048
#define STORE_LIST_MAX 1000

/* X(name): what a store can be asked; the comments at struct op say what each takes and
 * gives. */
/* clang-format off */
#define STORE_VERBS(X)                                                                   \
    X(stat) X(open) X(read) X(create) X(commit) X(append) X(put) X(put_if) X(list)       \
    X(copy) X(move) X(concat) X(remove) X(remove_prefix) X(touch) X(expire) X(url)
/* clang-format on */

enum store_verb {
#define X(name) OP_##name,
    STORE_VERBS(X)
#undef X
        OP_VERBS
};

/* What an object is, apart from its bytes. Strings are owned by the op and live until
 * op_fini. */
struct object {
    uint64_t size;
    uint64_t modified; /* ns since 1970, the store's clock */
    char etag[80];     /* opaque version without quotes: another whenever bytes differ */
    char *type;        /* content type, or NULL */
    char *meta;        /* "name\0value\0…" user metadata, or NULL */
    size_t meta_n;
};

/* One name of a listing. */
struct entry {
    char *name;  /* the whole key; a common prefix ends with the delimiter '/' */
    bool prefix; /* a common prefix: no size, no time */
    uint64_t size;
    uint64_t modified;
};

struct op {
    unsigned magic;
    enum store_verb verb;
    struct store *store;
    void (*done)(struct op *op);
    int rc; /* 0 or a code of the store's table: E_NOT_FOUND … E_IO, E_CANCELLED */

    /* clang-format off */
    /* Inputs, by verb, and what comes out:
     *
     * stat          key -> object
     * open          key [offset, n, immutable] -> object, source over that window. n SIZE_UNKNOWN:
     *               to the end; a window is cut at the end; offset beyond the size:
     *               E_RANGE; offset == size gives an empty source
     * read          key, limit -> object, out: a whole small object in one step. Larger
     *               than limit: E_TOO_LARGE
     * create        [key] [if_absent, type, meta] -> sink. With a key, finishing the
     *               sink commits (E_EXISTS is said there); without one, it makes the
     *               bytes ready and OP_commit names them
     * commit        sink, key [if_absent] -> object. The sink is finished and stays the
     *               caller's
     * append        key, offset -> sink. offset differs from the size: E_RANGE, and
     *               object.size says the true one; the object is made when offset is 0
     *               and it is absent. Bytes are durable when finish is done; an abort
     *               keeps, durably, what was pushed. A second appender at the same
     *               time: E_BUSY
     * put           key, in [if_absent, type, meta] -> object: a whole small object in
     *               one step
     * put_if        key, in, version [type, meta] -> object; replaces only that etag
     *               ("" for absent), else E_EXISTS. Ordered against put_ifs, not
     *               against put
     * list          prefix (key) [delimiter, after, limit] -> entries, more. Byte order
     *               of whole names; after is exclusive. Memory is bounded by the limit
     * copy          key, to: replaces `to`, which counts as written now; E_NOT_FOUND
     *               leaves it untouched
     * move          key, to [n]: the same, and key is gone. What is being appended to
     *               does not move: E_BUSY. With n only an object of this size does: else
     *               E_RANGE, so that what was checked is what gets the name
     * concat        keys (n_keys of them, in order), to: one object of all; parts stay
     * remove        key: E_NOT_FOUND when absent
     * remove_prefix key: everything that starts with it, which must end with '/'; count
     *               says how many; 0 is no error. Not atomic as a whole
     * touch         key: modified becomes the store's now, or E_NOT_FOUND
     * expire        key, before: removes it unless touched or written at or after
     *               `before` (ns since 1970); removed says what happened; absent is no
     *               error. Linearizable with touch
     * url           key, method ("GET", "HEAD", "PUT"), expires_s -> out: a signed URL
     *
     * A write to a key below an existing object ("a/b" when "a" is one), or to one with
     * objects below it, is E_INVALID where the kind keeps a tree (fs, mem).
     */
    /* clang-format on */
    const char *key;
    const char *to;
    const char *const *keys;
    size_t n_keys;
    uint64_t offset, n, limit, before;
    struct span in;
    const char *version;
    const char *type;
    const char *meta;
    size_t meta_n;
    const char *after;
    const char *method;
    uint64_t expires_s;
    bool if_absent, delimiter;
    bool immutable; /* the caller promises that the bytes under the key never change, and
                       that somebody still named it just now: memory may answer */

    /* results, valid in done with rc 0 */
    struct object object;
    struct source *source; /* the caller's from done on: it closes it */
    struct sink *sink;     /* likewise; for OP_commit an input */
    uint8_t *out;          /* bytes read, owned by the op */
    size_t out_n;
    struct entry *entries; /* owned by the op */
    size_t n_entries;
    bool more;
    uint64_t count;
    bool removed;

    /* for the store and its kind */
    struct job job;
    struct worker *worker;
    bool cancelled;         /* read it by op_is_cancelled */
    bool running;           /* between op_start and done */
    bool starting, settled; /* the kind's start is on the stack; it answered there */
    void *state;
    uint64_t removals; /* see cache.h */
};

/* Zeroes op and sets what every operation needs. */
void op_init(struct op *op, struct store *store, enum store_verb verb,
             void (*done)(struct op *));
/* Starts it. Keys are checked here: a bad one is E_INVALID. */
void op_start(struct op *op);
/* The same, but true when it is over at once: then done does not run. Those who use this
 * see to it that others have their turn. */
bool op_try(struct op *op);
void op_cancel(struct op *op);
/* Frees the results that are owned by the op; not source and sink. From done on. */
void op_fini(struct op *op);
/* For kinds: completes on the op's worker. op_complete is called there; op_post from any
 * thread. Both make done run from the run queue. */
void op_complete(struct op *op, int rc);
void op_post(struct op *op, int rc);
/* For kinds, in an open that is immutable: gives the object's bytes, a whole one of at most
 * CACHE_CONTENT_MAX. They are kept for others, and a window of them becomes op->source;
 * false: do as if it were not immutable. p is borrowed. */
bool op_keep(struct op *op, const void *p, size_t n);
/* Whether somebody asked to stop; any thread, for kinds that work in steps. */
bool op_is_cancelled(const struct op *op);
/* The verb's name, for logs. */
const char *op_name(const struct op *op);

/* What a kind does by itself; the rest is emulated by the kind or E_UNSUPPORTED. */
enum {
    STORE_IF_ABSENT = 1,
    STORE_PUT_IF = 2,
    STORE_APPEND = 4,
    STORE_URL = 8,
    STORE_CONCAT = 16,
};

struct store_option {
    const char *name;
    const char
        *value; /* canonical text: sizes in bytes, times in ns, "true" or "false" */
};

struct store_kind {
    const char *name;           /* "fs" */
    const char *const *options; /* names it knows, NULL-terminated */
    unsigned native;            /* STORE_… */
    /* Makes a store without touching the world: scripts are loaded to be looked at, too.
     * 0 and an owned store, or E_INVALID with *why set to an owned sentence. */
    int (*make)(const struct store_option *options, size_t n, struct store **out,
                char **why);
    /* Makes it ready to be used: directories, descriptors. Blocks; called before serving,
     * once. Of a read-only store it changes nothing; what is not there yet is empty. 0, or
     * a code with *why set. */
    int (*begin)(struct store *s, char **why);
    void (*free)(struct store *s);
    void (*start)(
        struct op *op); /* op->verb says what; answers by op_complete or op_post */
    void (*cancel)(struct op *op); /* may be NULL */
};

struct store {
    unsigned magic;
    const struct store_kind *kind;
    char *id; /* "fs:/srv/data": kind and canonical options without secrets, for logs */
    char *options; /* all of them, canonical: what it is interned by; never logged */
    unsigned refs;
    bool read_only;    /* set before it begins: every change is E_DENIED */
    atomic_bool begun; /* set once what begin made can be used */
    struct store *next;
};

/* For kinds: fills in the head of their own struct; takes id. */
void store_init(struct store *s, const struct store_kind *kind, char *id);

/* The store of that kind with these options: an existing one, or a new one. Returns a
 * reference. Any thread; one leaf lock. Unknown kind or option: E_INVALID with *why. */
int store_get(const char *kind, const struct store_option *options, size_t n,
              struct store **out, char **why);
struct store *store_ref(struct store *s);
/* Accepts NULL. */
void store_unref(struct store *s);
/* begin() of every store that is named and has not begun. On the main thread, at start
 * and after a reload. */
int store_begin_all(char **why);
/* begin() of this one, unless it has begun. */
int store_begin(struct store *s, char **why);
/* The same as store_begin_all, and they are read-only from then on: for who only wants to look. */
int store_begin_reading(char **why);

#endif
