/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/acceptor.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/conn.h"
#include "loop/disk.h"
#include "loop/handed.h"
#include "loop/timer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ACCEPTOR_MAGIC 0xACCE9700U
#define BACKLOG 1024
#define ACCEPTS_MAX 64 /* in one go, so that others have their turn */
#define PAUSE_NS (100 * NS_PER_MS)
#define LOG_EVERY_NS (60 * NS_PER_S)

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
};

struct acceptor {
    unsigned magic;
    int fd;
    struct event *event;
    struct timer pause;
    uint64_t logged; /* when the log last heard of a pause */
    void (*take)(void *arg, int fd, const char *peer);
    void *arg;
    bool everywhere;    /* ":port" */
    struct stat socket; /* of a unix socket's file, so that we remove only our own */
    const char *path;   /* of that file, within `text`; or NULL */
    char text[sizeof(struct sockaddr_un) + CONN_PEER_SIZE];
};

static socklen_t address_size(const union address *a)
{
    switch (a->any.sa_family) {
    case AF_INET:
        return sizeof a->v4;
    case AF_INET6:
        return sizeof a->v6;
    default:
        return sizeof a->un;
    }
}

/* "127.0.0.1:80", "[::1]:80" or "unix"; an IPv4 client of an IPv6 socket shows as IPv4.
 */
static void address_text(const union address *a, char *out, size_t n)
{
    char host[INET6_ADDRSTRLEN];
    if (a->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof host);
        snprintf(out, n, "%s:%u", host, (unsigned)ntohs(a->v4.sin_port));
    } else if (a->any.sa_family == AF_INET6) {
        bool mapped = IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr);
        if (mapped)
            inet_ntop(AF_INET, &a->v6.sin6_addr.s6_addr[12], host, sizeof host);
        else
            inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof host);
        snprintf(out, n, mapped ? "%s:%u" : "[%s]:%u", host,
                 (unsigned)ntohs(a->v6.sin6_port));
    } else {
        snprintf(out, n, "unix");
    }
}

static int parse_unix(const char *path, union address *out)
{
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof out->un.sun_path)
        return E_INVALID;
    out->un.sun_family = AF_UNIX;
    memcpy(out->un.sun_path, path, n + 1);
    return 0;
}

/* Reads any of the forms; *everywhere is true for ":port", which is then the IPv6 one. */
static int parse_address(const char *text, union address *out, bool *everywhere)
{
    char host[INET6_ADDRSTRLEN] = "";
    uint64_t port;
    memset(out, 0, sizeof *out);
    *everywhere = false;
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, out);
    const char *colon = strrchr(text, ':');
    if (!colon || span_u64(span_of(colon + 1), &port) != 0 || port > UINT16_MAX)
        return E_INVALID;
    size_t n = (size_t)(colon - text);
    bool v6 = n >= 2 && text[0] == '[' && text[n - 1] == ']';
    if (n - (v6 ? 2 : 0) >= sizeof host)
        return E_INVALID;
    memcpy(host, text + v6, n - (v6 ? 2 : 0));
    *everywhere = n == 0;
    if (v6 || *everywhere) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)port);
        bool good = *everywhere || inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1;
        return good ? 0 : E_INVALID;
    }
    out->v4.sin_family = AF_INET;
    out->v4.sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &out->v4.sin_addr) == 1 ? 0 : E_INVALID;
}

bool acceptor_reads(const char *address)
{
    union address at;
    bool everywhere;
    return handed_is(address) || parse_address(address, &at, &everywhere) == 0;
}

/* Removes a socket file that nobody listens on; -EADDRINUSE for a live one and for
 * anything that is no socket. */
static int remove_stale(const struct sockaddr_un *un)
{
    struct stat st;
    if (lstat(un->sun_path, &st) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EADDRINUSE;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rc = connect(fd, (const struct sockaddr *)un, sizeof *un);
    bool dead = rc != 0 && errno == ECONNREFUSED;
    close(fd);
    return dead ? disk_unlink(AT_FDCWD, un->sun_path) : -EADDRINUSE;
}

/* Returns a bound and listening socket, or -errno. The mode of an unbound socket is what
 * bind gives to the file, less the umask, so a private file is never anything else. */
static int listen_at(const union address *at, bool everywhere, bool private)
{
    int on = 1, v6only = !everywhere, rc;
    int family = at->any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (family == AF_UNIX) {
        rc = remove_stale(&at->un);
        if (rc == 0 && private && fchmod(fd, 0600) != 0)
            rc = -errno;
        if (rc < 0)
            goto fail;
    } else {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only);
    if (bind(fd, &at->any, address_size(at)) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    rc = -errno;
fail:
    close(fd);
    return rc;
}

/* ":port" on a machine without IPv6. */
static int listen_everywhere(const union address *at)
{
    union address v4 = {.v4 = {.sin_family = AF_INET, .sin_port = at->v6.sin6_port}};
    int fd = listen_at(at, true, false);
    if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)
        fd = listen_at(&v4, true, false);
    return fd;
}

static void pause_accepting(struct acceptor *a, int error)
{
    uint64_t now = clock_now();
    if (!a->logged || now - a->logged > LOG_EVERY_NS) {
        LOG_FIELDS(LOG_WARN, "accepting pauses", {"listen", span_of(a->text)},
                   {"error", span_of(err_name(-error))});
        a->logged = now;
    }
    event_del(a->event);
    timer_set(&a->pause, now + PAUSE_NS);
}

static void on_connect(evutil_socket_t fd, short events, void *arg)
{
    struct acceptor *a = arg;
    union address from;
    char peer[CONN_PEER_SIZE];
    (void)events;
    CHECK(a, ACCEPTOR_MAGIC);
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        socklen_t n = sizeof from;
        memset(&from, 0, sizeof from);
        int got = accept4(fd, &from.any, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (got >= 0) {
            address_text(&from, peer, sizeof peer);
            a->take(a->arg, got, peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                   errno == ENOMEM) {
            pause_accepting(a, errno);
            return;
        } else if (errno == EAGAIN) {
            return;
        } /* anything else is the fault of that one client: go on */
    }
}

static void on_pause_over(struct timer *t)
{
    struct acceptor *a = CONTAINER(t, struct acceptor, pause);
    CHECK(a, ACCEPTOR_MAGIC);
    event_add(a->event, NULL);
}

/* Writes the bound address as text; the port is known only now. */
static int name_bound(struct acceptor *a, const char *address)
{
    union address bound = {0};
    socklen_t n = sizeof bound;
    if (getsockname(a->fd, &bound.any, &n) != 0)
        return -errno;
    if (handed_is(address) && bound.any.sa_family == AF_UNIX) {
        snprintf(a->text, sizeof a->text, "unix:%s", bound.un.sun_path);
        return 0; /* the file is not ours */
    }
    if (bound.any.sa_family == AF_UNIX) {
        snprintf(a->text, sizeof a->text, "%s", address);
        a->path = a->text + strlen("unix:");
        return lstat(a->path, &a->socket) == 0 ? 0 : -errno;
    }
    if (a->everywhere) /* the port stands at the same place in both families */
        snprintf(a->text, sizeof a->text, ":%u", (unsigned)ntohs(bound.v4.sin_port));
    else
        address_text(&bound, a->text, sizeof a->text);
    return 0;
}

/* Returns a listening socket, or an error. */
static int open_socket(const char *address, bool private, bool *everywhere)
{
    union address at;
    *everywhere = false;
    if (!private && handed_is(address))
        return handed_open(address);
    int rc = parse_address(address, &at, everywhere);
    if (rc != 0)
        return rc;
    if (private && at.any.sa_family != AF_UNIX)
        return E_INVALID;
    return *everywhere ? listen_everywhere(&at) : listen_at(&at, false, private);
}

static int open_at(struct worker *main_worker, const char *address, bool private,
                   void (*take)(void *arg, int fd, const char *peer), void *arg,
                   struct acceptor **out)
{
    bool everywhere;
    int fd = open_socket(address, private, &everywhere), rc;
    if (fd < 0)
        return fd;
    struct acceptor *a = xalloc(sizeof *a);
    *a = (struct acceptor){.magic = ACCEPTOR_MAGIC,
                           .fd = fd,
                           .take = take,
                           .arg = arg,
                           .everywhere = everywhere};
    timer_init(&a->pause, main_worker, on_pause_over);
    rc = name_bound(a, address);
    if (rc != 0)
        goto fail;
    a->event =
        event_new(worker_base(main_worker), fd, EV_READ | EV_PERSIST, on_connect, a);
    if (!a->event || event_add(a->event, NULL) != 0) {
        rc = -ENOMEM;
        goto fail;
    }
    *out = a;
    return 0;
fail:
    acceptor_close(a);
    return rc;
}

int acceptor_open(struct worker *main_worker, const char *address,
                  void (*take)(void *arg, int fd, const char *peer), void *arg,
                  struct acceptor **out)
{
    return open_at(main_worker, address, false, take, arg, out);
}

int acceptor_open_private(struct worker *main_worker, const char *address,
                          void (*take)(void *arg, int fd, const char *peer), void *arg,
                          struct acceptor **out)
{
    return open_at(main_worker, address, true, take, arg, out);
}

const char *acceptor_address(const struct acceptor *a)
{
    CHECK(a, ACCEPTOR_MAGIC);
    return a->text;
}

void acceptor_close(struct acceptor *a)
{
    struct stat st;
    if (!a)
        return;
    CHECK(a, ACCEPTOR_MAGIC);
    timer_fini(&a->pause);
    if (a->event)
        event_free(a->event);
    close(a->fd);
    if (a->path && lstat(a->path, &st) == 0 && st.st_ino == a->socket.st_ino &&
        st.st_dev == a->socket.st_dev)
        disk_unlink(AT_FDCWD, a->path);
    POISON(a);
    free(a);
}
