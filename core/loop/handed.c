/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/handed.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_FD 3
#define SCHEME "systemd"
#define HANDED_MAX 1024 /* more is a mistake in the environment */

/* What an address asks for. */
struct wish {
    struct span name; /* empty: any */
    uint64_t number;  /* from 1 on */
};

static uint64_t number_of(const char *variable)
{
    const char *text = getenv(variable);
    uint64_t n;
    return text && span_u64(span_of(text), &n) == 0 ? n : 0;
}

/* How many there are. */
static size_t handed_all(void)
{
    uint64_t n = number_of("LISTEN_FDS");
    if (number_of("LISTEN_PID") != (uint64_t)getpid() || n > HANDED_MAX)
        return 0;
    return (size_t)n;
}

/* The i-th name; empty when there are not so many. */
static struct span name_at(size_t i)
{
    const char *p = getenv("LISTEN_FDNAMES");
    if (!p)
        p = "";
    for (; i && *p; i--) {
        p += strcspn(p, ":");
        p += *p == ':';
    }
    return (struct span){p, strcspn(p, ":")};
}

static bool read_wish(const char *address, struct wish *out)
{
    size_t n = strlen(SCHEME);
    if (strncmp(address, SCHEME, n) != 0 || (address[n] && !strchr(":#", address[n])))
        return false;
    const char *name = address + n + (address[n] == ':');
    out->name = (struct span){name, strcspn(name, "#")};
    out->number = 1;
    const char *hash = name + out->name.n;
    return !*hash || (span_u64(span_of(hash + 1), &out->number) == 0 && out->number > 0);
}

/* The descriptor of the wish, or -1; *count: how many bear its name. */
static int find(const struct wish *w, size_t *count)
{
    int fd = -1;
    *count = 0;
    for (size_t i = 0; i < handed_all(); i++) {
        if (w->name.n && !span_eq(w->name, name_at(i)))
            continue;
        if (++*count == w->number)
            fd = FIRST_FD + (int)i;
    }
    return fd;
}

bool handed_is(const char *address)
{
    struct wish w;
    return read_wish(address, &w);
}

size_t handed_count(const char *address)
{
    struct wish w;
    size_t n = 0;
    if (read_wish(address, &w))
        find(&w, &n);
    return strchr(address, '#') && n ? 1 : n;
}

int handed_open(const char *address)
{
    struct wish w;
    size_t n;
    int listens = 0, type = 0;
    socklen_t size = sizeof listens;
    if (!read_wish(address, &w))
        return E_INVALID;
    int fd = find(&w, &n);
    if (fd < 0)
        return E_NOT_FOUND;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || !listens ||
        type != SOCK_STREAM)
        return E_INVALID;
    fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0 && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd >= 0 ? fd : -errno;
}
