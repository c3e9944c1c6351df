/* SPDX-License-Identifier: Apache-2.0
 *
 * lua: the only room that includes lua.h. It loads a script into a VM, runs one coroutine
 * per request, and binds streams, stores and data functions for scripts/tidegate, which
 * builds the public API (docs/lua.md) from them. Rests on http and store.
 *
 *   gate.h   what main needs: look at a script, run it in a worker, see what runs in it
 *   vm.h     a VM: allocator with a cap, sandbox, loader
 *   task.h   a coroutine and what it waits for
 *   watch.h  the watchdog, which stops one that does not wait
 *   box.h    userdata that outlive nothing
 *   background.h, timers.h, turns.h   tasks beside requests, and when they begin
 *   told.h   a reply that a function writes
 *   files.h, shared.h   what changes under a VM, and what outlives it
 *
 * There is one lua_resume and one lua_yield in the program, both in task.c.
 */
#ifndef LUA_GATE_H
#define LUA_GATE_H

#include "base/base.h"
#include "base/log.h"
#include "http/server.h"

struct store;

/* What a script's first run declares; plain data, owned. */
struct gate_config {
    struct front_options *listen;
    size_t n_listen;
    unsigned workers;    /* 0: as many as cores */
    unsigned io_threads; /* 1 to 64 */
    struct http_limits limits;
    unsigned connections; /* of the process at once; 0: no bound */
    size_t script_memory; /* bytes, of one VM */
    size_t buffer_memory; /* bytes, of all pipe buffers */
    size_t cache_memory;  /* bytes, of small contents that never change */
    struct log_config log;
    char **audits; /* paths of audit logs */
    size_t n_audits;
    char *user; /* to become; NULL: nobody else */
    /* for `tidegate check`: one line each, "GET /v2/{name...}/tags/list" and
     * "fs:/srv/data" */
    char **routes;
    size_t n_routes;
    char **stores;
    size_t n_stores;
    /* the stores themselves, counted, so that those which the script names can be begun
     * before any worker loads it, and stay */
    struct store **held;
    size_t n_held;
};

/* Loads the script in a throwaway VM. 0, or E_INVALID with *why an owned "file:line:
 * message". Blocks; any thread that may. */
int gate_look(const char *script, struct gate_config *out, char **why);
void gate_config_fini(struct gate_config *c);

struct gate;

/* The script in a VM of its own, for w. Blocks while it loads, on any thread that may;
 * once the handler is in use, the gate is w's alone. 0 and an owned gate, or E_INVALID
 * with *why. */
int gate_load(const char *script, size_t memory, struct worker *w, struct gate **out,
              char **why);
/* The handler to give to http_server_new; valid while the gate lives. */
const struct http_handler *gate_handler(struct gate *g);
/* Which generation of the script it is, before its first request. */
void gate_number(struct gate *g, unsigned generation);
/* Its timers and jobs begin. Once, on its worker, when the stores are ready. */
void gate_start(struct gate *g);
/* How many requests and other tasks run in it. */
size_t gate_busy(const struct gate *g);
/* How many requests of these. */
size_t gate_requests(const struct gate *g);
/* How many requests and other tasks may still change a store: all, unless the gateway was
 * read-only when they began. */
size_t gate_writers(const struct gate *g);
/* Bytes of its Lua heap. */
size_t gate_memory(const struct gate *g);
/* No request begins in it from here on. Its timers stop and its jobs are cancelled; other
 * tasks in the background are too if they go on for ten seconds more. over(arg) is called
 * once when nothing runs, at once or from the run queue, and may free the gate. */
void gate_retire(struct gate *g, void (*over)(void *arg), void *arg);
/* Cancels what runs in the background now. */
void gate_hurry(struct gate *g);
/* Nothing may run in it. Accepts NULL. */
void gate_free(struct gate *g);

/* One running request, or a task in the background, as text for people: every byte is printable ASCII, longer values
 * are cut. */
struct gate_task {
    bool background;
    char id[REQ_ID_SIZE]; /* of the request; of a task, of the one it comes from, or "" */
    char method[16];      /* of a task "job", "gate.after" or "gate.spawn" */
    char path[256];       /* of a task the job's name, or "" */
    char user[64];        /* the name of q.user, "" when nobody has asked for it */
    const char *wait;     /* "store:open"; "reply" once the handler is through; static */
    uint64_t began;       /* clock_now() ns */
    uint64_t since;       /* when it began to wait */
    char trace[2048];     /* of its coroutine, a line a call; "" once it is over */
};
/* How many there are to describe. */
size_t gate_running(const struct gate *g);
/* Describes the oldest `max` requests, then tasks; returns how many. On the gate's
 * worker. */
size_t gate_tasks(struct gate *g, struct gate_task *out, size_t max);

/* For `tidegate version`: the versions of what it is linked with go there; static
 * storage. */
const char *gate_luajit_version(void);

#endif
