/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/notify.h"

#include "base/base.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define TEXT_MAX 1024

struct notify {
    int fd;
    struct sockaddr_un to;
    socklen_t size; /* of the part of `to` that counts */
};

/* "/path", or "@name" for a socket that no file stands for. */
static int read_address(const char *text, struct notify *n)
{
    size_t len = strlen(text);
    if ((text[0] != '/' && text[0] != '@') || len < 2 || len >= sizeof n->to.sun_path)
        return E_INVALID;
    n->to.sun_family = AF_UNIX;
    memcpy(n->to.sun_path, text, len);
    if (text[0] == '@')
        n->to.sun_path[0] = '\0';
    n->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return 0;
}

struct notify *notify_new(void)
{
    const char *address = getenv("NOTIFY_SOCKET");
    struct timeval patience = {.tv_sec = 1};
    if (!address || !*address)
        return NULL;
    struct notify *n = xalloc(sizeof *n);
    int rc = read_address(address, n);
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (rc == 0 && n->fd < 0)
        rc = -errno;
    if (rc) {
        LOG_FIELDS(LOG_WARN, "cannot talk to the service manager",
                   {"socket", span_of(address)}, {"error", span_of(err_text(rc))});
        notify_free(n);
        return NULL;
    }
    setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return n;
}

void notify_say(struct notify *n, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;
    if (!n)
        return;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size < 0)
        return;
    size_t rest = (size_t)size < sizeof text ? (size_t)size : sizeof text - 1;
    if (sendto(n->fd, text, rest, MSG_NOSIGNAL, (struct sockaddr *)&n->to, n->size) < 0)
        LOG_FIELDS(LOG_WARN, "the service manager does not hear us",
                   {"error", span_of(err_name(-errno))});
}

void notify_free(struct notify *n)
{
    if (!n)
        return;
    if (n->fd >= 0)
        close(n->fd);
    free(n);
}

uint64_t notify_watchdog(void)
{
    const char *every = getenv("WATCHDOG_USEC"), *who = getenv("WATCHDOG_PID");
    uint64_t us, pid;
    if (!every || span_u64(span_of(every), &us) != 0 || us > UINT64_MAX / NS_PER_US)
        return 0;
    if (who && (span_u64(span_of(who), &pid) != 0 || pid != (uint64_t)getpid()))
        return 0;
    return us * NS_PER_US;
}
