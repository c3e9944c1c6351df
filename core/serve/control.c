/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/control.h"

#include "base/base.h"
#include "base/clock.h"
#include "base/list.h"
#include "loop/acceptor.h"
#include "loop/conn.h"
#include "loop/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CALL_MAGIC 0xC0C0CA11U
#define LINE_MAX_BYTES 64         /* of a question */
#define ASK_NS (5 * NS_PER_S)     /* for the question to arrive */
#define ANSWER_NS (20 * NS_PER_S) /* for the answer to leave */

struct control {
    struct acceptor *acceptor;
    struct worker *worker;
    void (*ask)(void *arg, struct control_call *call, const char *line);
    void *arg;
    struct list calls;
    size_t n_calls;
};

struct control_call {
    unsigned magic;
    struct control *control;
    struct list link;
    struct conn conn;
    struct call kick; /* sends the answer, from the run queue */
    char line[LINE_MAX_BYTES];
    size_t n; /* bytes of the line */
    bool asked;
    char *answer; /* owned; NULL: none yet */
    size_t size, sent;
};

static void call_free(struct control_call *c)
{
    list_remove(&c->link);
    c->control->n_calls--;
    worker_undefer(c->control->worker, &c->kick);
    conn_fini(&c->conn);
    free(c->answer);
    POISON(c);
    free(c);
}

/* Returns false when the call is over. */
static bool send_answer(struct control_call *c)
{
    while (c->sent < c->size) {
        struct iovec rest = {c->answer + c->sent, c->size - c->sent};
        ssize_t n = conn_writev(&c->conn, &rest, 1);
        if (n == -EAGAIN)
            return true;
        if (n < 0)
            return false;
        c->sent += (size_t)n;
    }
    return false;
}

/* Returns false when the call is over. */
static bool read_line(struct control_call *c)
{
    char *end;
    while (!(end = memchr(c->line, '\n', c->n))) {
        if (c->n == sizeof c->line)
            return false;
        ssize_t n = conn_recv(&c->conn, c->line + c->n, sizeof c->line - c->n);
        if (n == -EAGAIN)
            return true;
        if (n <= 0)
            return false;
        c->n += (size_t)n;
    }
    *end = '\0';
    c->asked = true;
    conn_deadline(&c->conn, 0);
    c->control->ask(c->control->arg, c, c->line);
    return true;
}

/* Until it is answered, a call that was asked stays, even if its client has left: whoever
 * works on the answer keeps a pointer to it. */
static void on_wake(struct conn *conn)
{
    struct control_call *c = CONTAINER(conn, struct control_call, conn);
    bool goes_on = true;
    CHECK(c, CALL_MAGIC);
    if (conn->late)
        goes_on = false;
    else if (c->answer)
        goes_on = send_answer(c);
    else if (!c->asked)
        goes_on = read_line(c);
    if (!goes_on)
        call_free(c);
}

static void on_kick(struct call *call)
{
    on_wake(&CONTAINER(call, struct control_call, kick)->conn);
}

static void take(void *arg, int fd, const char *peer)
{
    struct control *control = arg;
    if (control->n_calls == CONTROL_CALLS_MAX) {
        close(fd);
        return;
    }
    struct control_call *c = xalloc(sizeof *c);
    c->magic = CALL_MAGIC;
    c->control = control;
    c->kick.fn = on_kick;
    if (conn_init(&c->conn, control->worker, fd, peer, on_wake) != 0) {
        free(c);
        return;
    }
    list_init(&c->link);
    list_append(&control->calls, &c->link);
    control->n_calls++;
    conn_deadline(&c->conn, worker_now(control->worker) + ASK_NS);
}

void control_answer(struct control_call *call, char *text)
{
    CHECK(call, CALL_MAGIC);
    assert(call->asked && !call->answer);
    call->answer = text;
    call->size = strlen(text);
    conn_deadline(&call->conn, worker_now(call->control->worker) + ANSWER_NS);
    worker_defer(call->control->worker, &call->kick);
}

char *control_path(void)
{
    const char *path = getenv("TIDEGATE_CONTROL");
    const char *runtime = getenv("RUNTIME_DIRECTORY");
    const char *data = getenv("TIDEGATE_DATA");
    if (path && *path)
        return strcmp(path, "off") == 0 ? NULL : xstrdup(path);
    if (runtime && *runtime) /* systemd separates several by colons */
        return xasprintf("%.*s/control.sock", (int)strcspn(runtime, ":"), runtime);
    return xasprintf("%s/.tidegate/control.sock", data && *data ? data : "./data");
}

/* Makes the folder that the path lies in, if that one's own is there. */
static int make_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return 0;
    char *folder = xmemdup(path, (size_t)(slash - path));
    int rc = disk_mkdir(AT_FDCWD, folder, 0755);
    free(folder);
    return rc == -EEXIST ? 0 : rc;
}

int control_open(struct worker *main_worker, const char *path,
                 void (*ask)(void *arg, struct control_call *call, const char *line),
                 void *arg, struct control **out)
{
    if (strlen(path) > CONTROL_PATH_MAX)
        return -ENAMETOOLONG;
    int rc = make_folder(path);
    if (rc)
        return rc;
    struct control *c = xalloc(sizeof *c);
    *c = (struct control){.worker = main_worker, .ask = ask, .arg = arg};
    list_init(&c->calls);
    char *address = xasprintf("unix:%s", path);
    rc = acceptor_open_private(main_worker, address, take, c, &c->acceptor);
    free(address);
    if (rc)
        free(c);
    else
        *out = c;
    return rc;
}

void control_close(struct control *c)
{
    if (!c)
        return;
    acceptor_close(c->acceptor);
    while (!list_empty(&c->calls))
        call_free(CONTAINER(c->calls.next, struct control_call, link));
    free(c);
}
