/* SPDX-License-Identifier: Apache-2.0
 *
 * What l_request, l_reply, l_stream, l_http and l_store share: open sources and sinks as
 * holds of a task, and the visit, which is one HTTP request as the task that answers it
 * sees it.
 */
#ifndef LUA_STREAMS_H
#define LUA_STREAMS_H

#include "http/request.h"
#include "lua/box.h"
#include "stream/stream.h"

struct stream_hold {
    struct hold hold;
    struct source *source;
    bool body; /* of the request: it must be closed before the reply */
    bool read; /* in part, by stream:chunks, which alone may go on */
};

struct sink_hold {
    struct hold hold;
    struct sink *sink;
    struct store *store; /* borrowed of the VM */
    size_t prefix_n;     /* bytes of a key that its store:at put there */
    char *prefix;        /* owned */
    bool named;          /* the pipe's end commits it */
    bool fed;            /* a pipe ended in it: push no more */
    bool ended;          /* committed or aborted: only close it */
};

struct visit { /* in the request's arena */
    struct hold hold;
    struct list link; /* among the gate's visits, the oldest first */
    struct req *req;
    struct gate *gate;
    struct task *task; /* NULL: there was no memory to make it */
    struct told *told; /* a function writes the reply (told.h); the task is its own */
    struct reply reply;
    bool ready;     /* reply is filled in */
    bool exhausted; /* the VM had no memory left */
};

struct gate;
struct gate_task;

/* tasks.c: what the request does now, for gate_tasks. */
void visit_describe(struct visit *v, struct gate_task *out);

extern const struct hold_kind stream_kind, sink_kind, visit_kind;

/* The open stream at idx of the running task, for whoever wants all of it. Raises, also
 * when some of it was read by stream:chunks. */
struct stream_hold *stream_at(lua_State *L, int idx);

/* Each takes what it is given and makes it the task's. */
struct stream_hold *stream_hold_new(struct task *t, struct source *source, bool body);
struct sink_hold *sink_hold_new(struct task *t, struct sink *sink, struct store *store,
                                struct span prefix, bool named);

/* Pushes { name = value }: names in lower case, repeated ones joined by ", ". Raises. */
void push_headers(lua_State *L, const struct http_header *headers, size_t n);

#endif
