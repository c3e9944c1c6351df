/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/acceptor.h"
#include "spec/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct worker *w;
static int accepted, wanted;
static char peers[4][64];

static void take(void *arg, int fd, const char *peer)
{
    EXPECT_STR(arg, "arg");
    EXPECT(fcntl(fd, F_GETFL) & O_NONBLOCK && fcntl(fd, F_GETFD) & FD_CLOEXEC);
    snprintf(peers[accepted % 4], sizeof peers[0], "%s", peer);
    close(fd);
    if (++accepted >= wanted)
        worker_stop(w);
}

static int open_at(const char *address, struct acceptor **out)
{
    static char arg[] = "arg";
    return acceptor_open(w, address, take, arg, out);
}

/* A blocking client socket; the connection waits in the backlog. */
static int dial(int family, const void *addr, socklen_t n)
{
    int fd = socket(family, SOCK_STREAM, 0);
    EXPECT_EQ(connect(fd, addr, n), 0);
    return fd;
}

static int dial_v4(const struct acceptor *a)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    const char *port = strrchr(acceptor_address(a), ':') + 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)atoi(port));
    return dial(AF_INET, &to, sizeof to);
}

static int dial_v6(const struct acceptor *a)
{
    struct sockaddr_in6 to = {.sin6_family = AF_INET6,
                              .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const char *port = strrchr(acceptor_address(a), ':') + 1;
    to.sin6_port = htons((uint16_t)atoi(port));
    return dial(AF_INET6, &to, sizeof to);
}

static int dial_unix(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    return dial(AF_UNIX, &to, sizeof to);
}

static void accept_next(int n)
{
    wanted = accepted + n;
    worker_run(w);
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

TEST("acceptor: addresses nobody can read are refused")
{
    static const char *const bad[] = {"",
                                      "5000",
                                      ":",
                                      ":x",
                                      ":65536",
                                      ":-1",
                                      "localhost:5000",
                                      "127.0.0.1",
                                      "127.0.0.256:1",
                                      "::1:5000",
                                      "[::1]",
                                      "[]:1",
                                      "[127.0.0.1]:1",
                                      "[::1:5000",
                                      "unix:",
                                      "0123456789012345678901234567890123456789012345:1"};
    struct acceptor *a;
    w = worker_new("spec");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        EXPECT_EQ(open_at(bad[i], &a), E_INVALID);
    worker_free(w);
}

TEST("acceptor: listens on IPv4, IPv6 and everywhere, and names the port")
{
    static const struct {
        const char *address, *shape; /* %u stands for a port that is not 0 */
        bool v4, v6;
    } rows[] = {{"127.0.0.1:0", "127.0.0.1:%u", true, false},
                {"[::1]:0", "[::1]:%u", false, true},
                {"[::]:0", "[::]:%u", false, true},
                {":0", ":%u", true, true}};
    w = worker_new("spec");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct acceptor *a;
        unsigned port = 0;
        if (!has_ipv6() && !rows[i].v4)
            continue;
        EXPECT_EQ(open_at(rows[i].address, &a), 0);
        EXPECT_EQ(sscanf(acceptor_address(a), rows[i].shape, &port), 1);
        EXPECT(port != 0);
        if (rows[i].v4) {
            close(dial_v4(a));
            accept_next(1);
            EXPECT(strncmp(peers[(accepted - 1) % 4], "127.0.0.1:", 10) == 0);
        }
        if (rows[i].v6 && has_ipv6()) {
            close(dial_v6(a));
            accept_next(1);
            EXPECT(strncmp(peers[(accepted - 1) % 4], "[::1]:", 6) == 0);
        }
        struct acceptor *second;
        EXPECT_EQ(open_at(acceptor_address(a), &second), -EADDRINUSE);
        acceptor_close(a);
    }
    worker_free(w);
}

TEST("acceptor: replaces a stale unix socket and leaves everything else alone")
{
    char path[96], address[128];
    struct acceptor *a, *second;
    w = worker_new("spec");
    snprintf(path, sizeof path, "%s/gate.sock", unit_tmpdir());
    snprintf(address, sizeof address, "unix:%s", path);
    EXPECT_EQ(open_at(address, &a), 0);
    EXPECT_STR(acceptor_address(a), address);
    int client = dial_unix(path);
    accept_next(1);
    EXPECT_STR(peers[0], "unix");
    EXPECT_EQ(open_at(address, &second), -EADDRINUSE); /* live */
    close(dial_unix(path));                            /* still there */
    accept_next(2);                                    /* the probe was the other one */
    close(client);
    EXPECT_EQ(unlink(path), 0);
    EXPECT_EQ(open_at(address, &second), 0);
    acceptor_close(a); /* the file is no longer its own */
    EXPECT_EQ(access(path, F_OK), 0);
    acceptor_close(second);
    EXPECT_EQ(access(path, F_OK), -1);

    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    EXPECT_EQ(bind(dead, (struct sockaddr *)&un, sizeof un), 0);
    close(dead); /* leaves the file behind */
    EXPECT_EQ(open_at(address, &a), 0);
    acceptor_close(a);

    int file = open(path, O_CREAT | O_WRONLY, 0600);
    close(file);
    EXPECT_EQ(open_at(address, &a), -EADDRINUSE);
    EXPECT_EQ(access(path, F_OK), 0);
    worker_free(w);
}

TEST("acceptor: waits at the descriptor limit and goes on after it")
{
    struct acceptor *a;
    struct rlimit old, low;
    int log[2], lines = 0;
    char text[4096];
    w = worker_new("spec");
    EXPECT_EQ(open_at("127.0.0.1:0", &a), 0);
    int client[2] = {dial_v4(a), dial_v4(a)};
    EXPECT_EQ(pipe2(log, O_NONBLOCK), 0);
    log_setup(log[1], LOG_INFO, false);
    getrlimit(RLIMIT_NOFILE, &old);
    low = (struct rlimit){3, old.rlim_max};
    setrlimit(RLIMIT_NOFILE, &low);
    worker_stop(w);
    worker_run(w);
    EXPECT_EQ(accepted, 0);
    setrlimit(RLIMIT_NOFILE, &old);
    accept_next(2);
    log_setup(2, LOG_INFO, false);
    ssize_t n = read(log[0], text, sizeof text);
    for (ssize_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    EXPECT_EQ(lines, 1);
    for (int i = 0; i < 2; i++) {
        close(client[i]);
        close(log[i]);
    }
    acceptor_close(a);
    worker_free(w);
}

TEST("acceptor: a private unix socket is its owner's alone")
{
    char path[96], address[128];
    struct acceptor *a;
    struct stat st;
    w = worker_new("spec");
    snprintf(path, sizeof path, "%s/private.sock", unit_tmpdir());
    snprintf(address, sizeof address, "unix:%s", path);
    umask(0);
    EXPECT_EQ(acceptor_open_private(w, address, take, "arg", &a), 0);
    EXPECT_EQ(stat(path, &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600);
    close(dial_unix(path));
    accept_next(1);
    acceptor_close(a);
    EXPECT_EQ(acceptor_open_private(w, "127.0.0.1:0", take, NULL, &a), E_INVALID);
    worker_free(w);
}
