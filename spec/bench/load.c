/* SPDX-License-Identifier: Apache-2.0
 *
 * load: what `make bench` measures servers with.
 *
 *   load get PORT PATH COUNT              GETs one after the other on one connection
 *   load gets PORT PATH COUNT             the same with TLS
 *   load push PORT REPO FILE SIZE COUNT   COUNT blobs at once, each on its own connection
 *   load slow PORT PATH COUNT             COUNT connections that GET and read a KiB each 20
 *                                         ms, until the input ends
 *   load idle PORT COUNT                  COUNT connections, one GET /v2/ on each, held
 *                                         until the input ends
 *
 * A blob is the first SIZE - TAIL bytes of FILE and a tail of its own, so that every blob
 * is new to the server, its digest costs the client next to nothing, and the kernel sends
 * the bytes: the load takes as little of the machine as it can. A push is POST, PATCH,
 * PUT, as Docker's client does it. Prints the seconds the work took, then a digest a
 * line.
 */
#include "spec/bench/client.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TAIL 16
#define PUSHES_MAX 64
#define IDLE_MAX 20000
#define SLOW_MAX 1000
#define SLOW_MS 20
#define SLOW_PIECE 1024
#define SLOW_WINDOW 8192

struct push {
    pthread_t thread;
    pthread_barrier_t *start;
    unsigned port;
    const char *repo, *file;
    uint64_t size;
    uint8_t tail[TAIL];
    char digest[2 * 32 + 1];
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0')
        die("%s is not a number", text);
    return n;
}

/* Digests the n bytes that all blobs begin with. Returns an owned context. */
static EVP_MD_CTX *digest_head(const char *path, uint64_t n)
{
    static uint8_t buf[1024 * 1024];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || !ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
        die("%s: %s", path, strerror(errno));
    while (n > 0) {
        ssize_t got = read(fd, buf, n < sizeof buf ? n : sizeof buf);
        if (got <= 0)
            die("%s is too short", path);
        EVP_DigestUpdate(ctx, buf, (size_t)got);
        n -= (uint64_t)got;
    }
    close(fd);
    return ctx;
}

static void name_blob(struct push *p, const EVP_MD_CTX *head)
{
    uint8_t md[32];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (getrandom(p->tail, TAIL, 0) != TAIL || !ctx || !EVP_MD_CTX_copy_ex(ctx, head))
        die("cannot digest");
    EVP_DigestUpdate(ctx, p->tail, TAIL);
    EVP_DigestFinal_ex(ctx, md, NULL);
    EVP_MD_CTX_free(ctx);
    for (size_t i = 0; i < sizeof md; i++)
        snprintf(p->digest + 2 * i, 3, "%02x", md[i]);
}

static void *push_run(void *arg)
{
    struct push *p = arg;
    char path[5 * 1024];
    int fd = open(p->file, O_RDONLY | O_CLOEXEC);
    struct client *c = client_open(p->port, false);
    if (fd < 0)
        die("%s: %s", p->file, strerror(errno));
    pthread_barrier_wait(p->start);
    snprintf(path, sizeof path, "/v2/%s/blobs/uploads/", p->repo);
    client_head(c, "POST", path, 0);
    client_reply(c, 202);
    snprintf(path, sizeof path, "%s", c->location);
    client_head(c, "PATCH", path, p->size);
    client_sendfile(c, fd, p->size - TAIL);
    client_send(c, p->tail, TAIL);
    client_reply(c, 202);
    snprintf(path, sizeof path, "%s%cdigest=sha256:%s", c->location,
             strchr(c->location, '?') ? '&' : '?', p->digest);
    client_head(c, "PUT", path, 0);
    client_reply(c, 201);
    client_close(c);
    close(fd);
    return NULL;
}

static void push(unsigned port, const char *repo, const char *file, uint64_t size,
                 size_t n)
{
    static struct push pushes[PUSHES_MAX];
    pthread_barrier_t start;
    if (n < 1 || n > PUSHES_MAX || size < TAIL)
        die("1 to %d pushes of at least %d bytes", PUSHES_MAX, TAIL);
    EVP_MD_CTX *head = digest_head(file, size - TAIL);
    pthread_barrier_init(&start, NULL, (unsigned)n + 1);
    for (size_t i = 0; i < n; i++) {
        struct push *p = &pushes[i];
        *p = (struct push){
            .start = &start, .port = port, .repo = repo, .file = file, .size = size};
        name_blob(p, head);
        if (pthread_create(&p->thread, NULL, push_run, p) != 0)
            die("cannot start a thread");
    }
    double began = now();
    pthread_barrier_wait(&start);
    for (size_t i = 0; i < n; i++)
        pthread_join(pushes[i].thread, NULL);
    printf("%.6f\n", now() - began);
    for (size_t i = 0; i < n; i++)
        printf("sha256:%s\n", pushes[i].digest);
    EVP_MD_CTX_free(head);
    pthread_barrier_destroy(&start);
}

static void get(unsigned port, bool tls, const char *path, uint64_t count)
{
    struct client *c = client_open(port, tls);
    double began = now();
    for (uint64_t i = 0; i < count; i++) {
        client_head(c, "GET", path, 0);
        client_reply(c, 200);
    }
    printf("%.6f\n", now() - began);
    client_close(c);
}

static void idle(unsigned port, uint64_t count)
{
    static int fds[IDLE_MAX];
    if (count > IDLE_MAX)
        die("at most %d connections", IDLE_MAX);
    for (uint64_t i = 0; i < count; i++) {
        struct client *c = client_open(port, false);
        client_head(c, "GET", "/v2/", 0);
        client_reply(c, 200);
        fds[i] = dup(c->fd); /* the client's buffer is not worth keeping */
        if (fds[i] < 0)
            die("dup: %s", strerror(errno));
        client_close(c);
    }
    puts("held");
    fflush(stdout);
    while (getchar() != EOF)
        ;
}

/* One window of a slow client is all that the server can put into the network for it. */
static int slow_open(unsigned port, const char *path)
{
    int window = SLOW_WINDOW;
    struct client *c = client_open(port, false);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    client_head(c, "GET", path, 0);
    int fd = dup(c->fd);
    if (fd < 0)
        die("dup: %s", strerror(errno));
    client_close(c);
    return fd;
}

static void slow(unsigned port, const char *path, uint64_t count)
{
    static int fds[SLOW_MAX];
    static char nowhere[SLOW_PIECE];
    struct pollfd input = {.fd = 0, .events = POLLIN};
    if (count > SLOW_MAX)
        die("at most %d slow clients", SLOW_MAX);
    for (uint64_t i = 0; i < count; i++)
        fds[i] = slow_open(port, path);
    puts("slow");
    fflush(stdout);
    while (poll(&input, 1, SLOW_MS) == 0) {
        for (uint64_t i = 0; i < count; i++)
            if (recv(fds[i], nowhere, sizeof nowhere, MSG_DONTWAIT) == 0)
                die("a slow client was cut off");
    }
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "get") == 0)
        get((unsigned)number(argv[2]), false, argv[3], number(argv[4]));
    else if (argc == 5 && strcmp(argv[1], "gets") == 0)
        get((unsigned)number(argv[2]), true, argv[3], number(argv[4]));
    else if (argc == 7 && strcmp(argv[1], "push") == 0)
        push((unsigned)number(argv[2]), argv[3], argv[4], number(argv[5]),
             (size_t)number(argv[6]));
    else if (argc == 5 && strcmp(argv[1], "slow") == 0)
        slow((unsigned)number(argv[2]), argv[3], number(argv[4]));
    else if (argc == 4 && strcmp(argv[1], "idle") == 0)
        idle((unsigned)number(argv[2]), number(argv[3]));
    else
        die("usage: load get|gets PORT PATH COUNT | slow PORT PATH COUNT | "
            "push PORT REPO FILE SIZE COUNT | idle PORT COUNT");
    return 0;
}
