/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "loop/conn.h"
#include "loop/disk.h"
#include "spec/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct spec_conn {
    struct conn conn;
    int peer;
    bool (*enough)(struct conn *); /* ends the run */
    int wakes;
};

static struct spec_conn it;
static struct worker *w;

static void on_wake(struct conn *c)
{
    struct spec_conn *s = CONTAINER(c, struct spec_conn, conn);
    EXPECT(worker_self() == c->worker);
    s->wakes++;
    if (s->enough(c))
        worker_stop(c->worker);
}

static bool is_ready(struct conn *c)
{
    return c->readable && c->writable;
}

static bool is_writable(struct conn *c)
{
    return c->writable;
}

static bool is_closed(struct conn *c)
{
    return c->closed;
}

static bool is_late(struct conn *c)
{
    return c->late;
}

static void run_until(bool (*enough)(struct conn *))
{
    it.enough = enough;
    if (!enough(&it.conn))
        worker_run(w);
}

static void start_over(int fd, int peer)
{
    int on = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, on | O_NONBLOCK);
    w = worker_new("spec");
    it.peer = peer;
    it.wakes = 0;
    EXPECT_EQ(conn_init(&it.conn, w, fd, "somebody", on_wake), 0);
    EXPECT_EQ(it.wakes, 0);
}

static void start(void)
{
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    start_over(fds[0], fds[1]);
}

/* A pair over TCP, which socketpair does not make. */
static void start_tcp(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM, 0),
        peer = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listener, (struct sockaddr *)&a, n), 0);
    EXPECT_EQ(listen(listener, 1), 0);
    EXPECT_EQ(getsockname(listener, (struct sockaddr *)&a, &n), 0);
    EXPECT_EQ(connect(peer, (struct sockaddr *)&a, n), 0);
    start_over(accept(listener, NULL, NULL), peer);
    close(listener);
}

static void stop(void)
{
    conn_fini(&it.conn);
    if (it.peer >= 0)
        close(it.peer);
    worker_free(w);
}

TEST("conn: reads what came, then says EAGAIN, then the end")
{
    char buf[64];
    start();
    EXPECT_STR(it.conn.peer, "somebody");
    EXPECT_EQ(write(it.peer, "moon", 4), 4);
    run_until(is_ready);
    EXPECT_EQ(conn_recv(&it.conn, buf, 2), 2);
    EXPECT(it.conn.readable); /* the buffer was filled: there may be more */
    EXPECT_EQ(conn_recv(&it.conn, buf + 2, sizeof buf - 2), 2);
    EXPECT(memcmp(buf, "moon", 4) == 0 && !it.conn.readable);
    EXPECT_EQ(conn_recv(&it.conn, buf, sizeof buf), -EAGAIN);
    EXPECT_EQ(write(it.peer, "tide", 4), 4);
    EXPECT_EQ(shutdown(it.peer, SHUT_WR), 0);
    run_until(is_closed);
    EXPECT_EQ(conn_recv(&it.conn, buf, sizeof buf), 4);
    EXPECT(it.conn.readable); /* the end is still to be read */
    EXPECT_EQ(conn_recv(&it.conn, buf, sizeof buf), 0);
    stop();
}

TEST("conn: writes until the peer stops reading and goes on when it reads")
{
    static char block[65536], sink[65536];
    struct iovec iov[2] = {{block, 1000}, {block + 1000, sizeof block - 1000}};
    size_t sent = 0, seen = 0;
    ssize_t n;
    start_tcp();
    conn_cork(&it.conn, true);
    run_until(is_writable);
    for (int round = 0; round < 4; round++) {
        while ((n = conn_writev(&it.conn, iov, 2)) > 0)
            sent += (size_t)n;
        EXPECT_EQ(n, -EAGAIN);
        EXPECT(!it.conn.writable);
        while (seen < sent && (n = recv(it.peer, sink, sizeof sink, MSG_DONTWAIT)) > 0)
            seen += (size_t)n;
        run_until(is_writable);
    }
    conn_cork(&it.conn, false);
    conn_shutdown(&it.conn);
    while ((n = read(it.peer, sink, sizeof sink)) > 0)
        seen += (size_t)n;
    EXPECT_EQ(seen, sent);
    stop();
}

TEST("conn: sends a file and says when it ended")
{
    static char text[200000], got[200000];
    int dir = open(unit_tmpdir(), O_RDONLY | O_DIRECTORY);
    int file = disk_open_rw(dir, "file", 0600);
    off_t at = 100;
    size_t seen = 100;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)unit_random();
    EXPECT_EQ(disk_pwrite(file, text, sizeof text, 0), 0);
    start_tcp();
    for (;;) {
        run_until(is_writable);
        ssize_t n = conn_sendfile(&it.conn, file, &at, 70000);
        if (n == 0)
            break;
        EXPECT(n > 0 || n == -EAGAIN);
        while ((n = recv(it.peer, got + seen, sizeof got - seen, MSG_DONTWAIT)) > 0)
            seen += (size_t)n;
    }
    EXPECT_EQ(at, sizeof text);
    while (seen < sizeof got)
        seen += (size_t)read(it.peer, got + seen, sizeof got - seen);
    EXPECT(memcmp(text + 100, got + 100, sizeof text - 100) == 0);
    stop();
    close(file);
    close(dir);
}

TEST("conn: a peer that is gone is an error, never a signal")
{
    struct iovec iov = {(char[]){"x"}, 1};
    int file = open("/proc/self/exe", O_RDONLY);
    off_t at = 0;
    start();
    close(it.peer);
    it.peer = -1;
    run_until(is_closed);
    EXPECT_EQ(conn_writev(&it.conn, &iov, 1), -EPIPE);
    EXPECT_EQ(conn_sendfile(&it.conn, file, &at, 1), -EPIPE);
    stop();
    close(file);
}

TEST("conn: a reset is noticed by an owner that does not read")
{
    struct linger now = {1, 0};
    start_tcp();
    EXPECT_EQ(write(it.peer, "unread", 6), 6);
    run_until(is_ready);
    setsockopt(it.peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(it.peer); /* sends RST */
    it.peer = -1;
    run_until(is_closed);
    stop();
}

TEST("conn: a deadline wakes it, a later one replaces it")
{
    uint64_t now = clock_now();
    start();
    run_until(is_writable);
    conn_deadline(&it.conn, now + 1000 * NS_PER_S);
    conn_deadline(&it.conn, now + 10 * NS_PER_MS);
    run_until(is_late);
    EXPECT(clock_now() >= now + 10 * NS_PER_MS);
    conn_deadline(&it.conn, 0);
    EXPECT(!it.conn.late);
    EXPECT_EQ(write(it.peer, "x", 1), 1);
    run_until(is_ready);
    EXPECT(!it.conn.late);
    stop();
}
