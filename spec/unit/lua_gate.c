/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/http_peer.h"

#include "backends/mem/mem.h"
#include "lua/gate.h"
#include "store/kinds.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MEMORY ((size_t)32 << 20)
#define S UINT64_C(1000000000)

static const char script[] =
    "local gate = require 'tidegate'\n"
    "gate.config { listen = { ':7', 'unix:/x' }, workers = 3, limits = { idle = '2m' },\n"
    "  log = { level = 'error' } }\n"
    "local mem = gate.store.mem { name = 'notes' }\n"
    "local app = gate.app { prefix = '/notes' }\n"
    "app:put('/{name}', function(q)\n"
    "  local got = q.body:into(mem:create(q.params.name))\n"
    "  return gate.reply(201, { size = got.size })\n"
    "end)\n"
    "app:get('/{name}', function(q)\n"
    "  return gate.reply(200, mem:open(q.params.name) or gate.fail(404, 'UNKNOWN'))\n"
    "end)\n"
    "gate.serve { app }\n";

/* A script on a worker of its own, and what the case asks of that thread. */
struct rig {
    char path[96];
    struct gate_config config;
    struct worker *worker;
    struct gate *gate;
    struct http_server *server;
    struct front *front;
    size_t busy; /* at the end */
    struct call give, drain;
    int fd;
    sem_t given, drained;
};

static void write_script(char path[96], const char *text)
{
    snprintf(path, 96, "%s/gate.lua", unit_tmpdir());
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    EXPECT(write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void setup(void *arg)
{
    struct rig *r = arg;
    char *why = NULL;
    if (gate_load(r->path, MEMORY, r->worker, &r->gate, &why) != 0)
        unit_fail(__FILE__, __LINE__, "%s", why);
    r->server = http_server_new(r->worker, &r->config.limits, gate_handler(r->gate));
}

static void teardown(void *arg)
{
    struct rig *r = arg;
    r->busy = gate_busy(r->gate);
    http_server_free(r->server);
    gate_free(r->gate);
}

static void rig_start(struct rig *r)
{
    char *why = NULL;
    *r = (struct rig){.fd = -1};
    sem_init(&r->given, 0, 0);
    sem_init(&r->drained, 0, 0);
    write_script(r->path, script);
    kinds_add(&mem_kind);
    EXPECT_EQ(gate_look(r->path, &r->config, &why), 0);
    EXPECT_EQ(front_new(&r->config.listen[0], NULL, &r->front, &why), 0);
    log_setup(-1, LOG_ERROR, false);
    bufpool_start(16u << 20, 0);
    EXPECT_EQ(pool_start(2), 0);
    EXPECT_EQ(store_begin_all(&why), 0);
    r->worker = worker_new("lua");
    EXPECT(r->worker && worker_start(r->worker, setup, teardown, r) == 0);
}

static void on_drained(void *arg)
{
    struct rig *r = arg;
    sem_post(&r->drained);
}

static void drain(struct call *c)
{
    struct rig *r = CONTAINER(c, struct rig, drain);
    http_server_drain(r->server, on_drained, r);
}

static void rig_stop(struct rig *r)
{
    r->drain.fn = drain;
    worker_post(r->worker, &r->drain);
    peer_wait(&r->drained);
    worker_stop(r->worker);
    worker_join(r->worker);
    EXPECT_EQ(r->busy, 0);
    pool_stop();
    worker_free(r->worker);
    bufpool_stop();
    front_unref(r->front);
    gate_config_fini(&r->config);
}

static void give(struct call *c)
{
    struct rig *r = CONTAINER(c, struct rig, give);
    http_server_take(r->server, r->fd, "peer", r->front, NULL);
    sem_post(&r->given);
}

static int rig_connect(struct rig *r)
{
    int pair[2];
    struct timeval patience = {10, 0};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    r->give = (struct call){.fn = give};
    r->fd = pair[1];
    worker_post(r->worker, &r->give);
    peer_wait(&r->given);
    return pair[0];
}

TEST("lua gate: a script stores a body and gives it back")
{
    static struct rig r;
    rig_start(&r);
    int fd = rig_connect(&r);
    peer_say(fd, "GET /notes/a HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_expect(fd, 404, "{\"errors\":[{\"code\":\"UNKNOWN\"}]}");
    peer_say(fd, "PUT /notes/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    peer_expect(fd, 201, "{\"size\":5}");
    peer_say(fd, "GET /notes/a HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_expect(fd, 200, "hello");
    peer_say(fd, "GET /notes/a HTTP/1.1\r\nHost: h\r\nRange: bytes=1-2\r\n\r\n");
    peer_expect(fd, 206, "el");
    close(fd);
    rig_stop(&r);
}

TEST("lua gate: a client that leaves in its body leaves nothing behind")
{
    static struct rig r;
    rig_start(&r);
    int fd = rig_connect(&r);
    peer_say(fd, "PUT /notes/b HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\nhalf");
    close(fd);
    fd = rig_connect(&r);
    peer_say(fd, "GET /notes/b HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_expect(fd, 404, "{\"errors\":[{\"code\":\"UNKNOWN\"}]}");
    close(fd);
    rig_stop(&r);
}

/* What the case asks of the worker's thread while a request waits there. */
struct visit_rig {
    struct rig *rig;
    struct call call;
    struct gate_task task;
    bool over;
    sem_t told, retired;
};

static void on_over(void *arg)
{
    struct visit_rig *v = arg;
    v->over = true;
    sem_post(&v->retired);
}

static void look_and_retire(struct call *c)
{
    struct visit_rig *v = CONTAINER(c, struct visit_rig, call);
    struct gate_task two[2];
    EXPECT_EQ(gate_tasks(v->rig->gate, two, 2), 1);
    EXPECT_EQ(gate_tasks(v->rig->gate, &v->task, 0), 0);
    EXPECT(gate_memory(v->rig->gate) > 0);
    v->task = two[0];
    gate_retire(v->rig->gate, on_over, v);
    EXPECT(!v->over);
    sem_post(&v->told);
}

TEST("lua gate: tells what a request waits for, and when the last one has ended")
{
    static struct rig r;
    static struct visit_rig v = {.rig = &r, .call = {.fn = look_and_retire}};
    rig_start(&r);
    sem_init(&v.told, 0, 0);
    sem_init(&v.retired, 0, 0);
    int fd = rig_connect(&r);
    peer_say(fd, "PUT /notes/b HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                 "Content-Length: 5\r\n\r\n");
    char line[25];
    EXPECT_EQ(recv(fd, line, sizeof line, MSG_WAITALL), sizeof line); /* 100 Continue */
    worker_post(r.worker, &v.call);
    peer_wait(&v.told);
    EXPECT_STR(v.task.method, "PUT");
    EXPECT_STR(v.task.path, "/notes/b");
    EXPECT_STR(v.task.user, "");
    EXPECT_STR(v.task.wait, "stream:into");
    EXPECT_EQ(strlen(v.task.id), 16);
    EXPECT(strstr(v.task.trace, "gate.lua:7: in function"));
    EXPECT(v.task.began && v.task.since >= v.task.began);
    peer_say(fd, "hello");
    peer_expect(fd, 201, "{\"size\":5}");
    peer_wait(&v.retired);
    close(fd);
    rig_stop(&r);
}

TEST("lua gate: looking at a script tells its configuration")
{
    struct gate_config c;
    char path[96], *why = NULL;
    write_script(path, script);
    kinds_add(&mem_kind);
    EXPECT_EQ(gate_look(path, &c, &why), 0);
    EXPECT_EQ(c.n_listen, 2);
    EXPECT_STR(c.listen[1].address, "unix:/x");
    EXPECT_EQ(c.workers, 3);
    EXPECT_EQ(c.io_threads, 8);
    EXPECT_EQ(c.limits.idle, 120 * S);
    EXPECT_EQ(c.limits.head, 10 * S);
    EXPECT_EQ(c.script_memory, 128 << 20);
    EXPECT_EQ(c.log.level, LOG_ERROR);
    EXPECT(!c.log.json);
    EXPECT_EQ(c.n_routes, 2);
    EXPECT_STR(c.routes[0], "GET /notes/{name}");
    EXPECT_EQ(c.n_stores, 1);
    EXPECT_STR(c.stores[0], "mem:notes");
    gate_config_fini(&c);
}

TEST("lua gate: one number for memory divides itself")
{
    static const struct {
        const char *options;
        size_t script, buffers, cache; /* MiB */
    } cases[] = {
        {"", 128, 256, 32},
        {"memory = '256m'", 32, 128, 32},
        {"memory = '256m', limits = { script = '8m' }", 8, 128, 32},
        {"memory = '256m', limits = { cache = 0 }", 32, 128, 0},
        {"memory = '32m', limits = { buffers = '64m' }", 4, 64, 4},
    };
    char path[96], *why = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gate_config c;
        char *text = xasprintf("local gate = require 'tidegate'\n"
                               "gate.config { workers = 2, %s }\n"
                               "gate.serve { gate.health '/x' }",
                               cases[i].options);
        write_script(path, text);
        EXPECT_EQ(gate_look(path, &c, &why), 0);
        EXPECT_EQ(c.script_memory, cases[i].script << 20);
        EXPECT_EQ(c.buffer_memory, cases[i].buffers << 20);
        EXPECT_EQ(c.cache_memory, cases[i].cache << 20);
        gate_config_fini(&c);
        free(text);
    }
}

TEST("lua gate: what is wrong with a script is said with its place")
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"return +", "gate.lua:1: unexpected symbol"},
        {"\nlocal x = undeclared", "gate.lua:2: undeclared global 'undeclared'"},
        {"require('tidegate').config { worker = 1 }",
         "gate.lua:1: gate.config: unknown option"},
        {"require('tidegate').store.mem { limit = 1 }",
         "gate.store.mem: 'name' is needed"},
        {"local x = 1", "gate.lua: the script does not call gate.serve"},
        {"\27LJ\2", "gate.lua"},
    };
    char path[96], *why;
    kinds_add(&mem_kind);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gate_config c;
        write_script(path, cases[i].text);
        why = NULL;
        EXPECT_EQ(gate_look(path, &c, &why), E_INVALID);
        if (!strstr(why, cases[i].message))
            unit_fail(__FILE__, __LINE__, "said \"%s\"", why);
        free(why);
    }
    EXPECT_EQ(gate_look("/nowhere/gate.lua", &(struct gate_config){0}, &why), E_INVALID);
    EXPECT_STR(why, "/nowhere/gate.lua: No such file or directory");
    free(why);
}
