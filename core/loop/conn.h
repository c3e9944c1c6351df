/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection: one stream socket on one worker. It moves bytes and says when more can
 * move; what they mean is its owner's affair. Nothing here ever blocks.
 *
 * Readiness is edge-triggered and registered once: a change sets a flag and calls wake,
 * and the flag stays until a transfer has used it up. Not reading is all it takes to push
 * back. wake is also called when the deadline passes (`late`) and when the peer closed
 * its side (`closed`, which can come before all its bytes were read). Several changes can
 * share one wake. A connection that a pace holds back looks like one that is not ready,
 * and it is not late then: it is us who wait.
 *
 * TLS (tls.h) lies behind conn_recv, conn_writev and conn_sendfile. A write that was
 * taken in part, or not at all, must be followed by one that begins with the rest.
 */
#ifndef LOOP_CONN_H
#define LOOP_CONN_H

#include "loop/pace.h"
#include "loop/timer.h"

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#define CONN_MAGIC 0xC0881EC7U
#define CONN_PEER_SIZE 64

struct conn {
    unsigned magic;
    int fd;
    struct worker *worker;
    struct tls *tls; /* NULL without */
    struct event *event;
    struct timer timer;
    struct call look; /* to see whether a peer that is not read from is still there */
    void (*wake)(struct conn *); /* from the loop; may conn_close */
    bool readable;               /* a read may succeed */
    bool writable;
    bool closed;               /* the peer closed its side, or the socket failed */
    bool torn;                 /* it must not look as if it ended well */
    struct pace *pace;         /* of its bytes, while conn_pace says so; or NULL */
    bool late;                 /* the deadline passed; cleared by conn_deadline */
    char peer[CONN_PEER_SIZE]; /* "127.0.0.1:4711", "[::1]:4711", "unix"; for people */
};

/* Takes fd (made non-blocking already) and watches it on w, whose thread this must be.
 * `peer` is copied. 0, or -errno and fd is closed. wake is first called from the loop,
 * never from here. */
int conn_init(struct conn *c, struct worker *w, int fd, const char *peer,
              void (*wake)(struct conn *));
/* Closes the socket, with TLS's goodbye unless conn_tear was called; c's memory is the
 * owner's again. */
void conn_fini(struct conn *c);

/* Copies what has arrived, up to n bytes, and leaves it to be received; results as of
 * conn_recv. conn_skip throws n such bytes away. Before conn_secure. */
ssize_t conn_peek(struct conn *c, void *buf, size_t n);
void conn_skip(struct conn *c, size_t n);

struct tls_context;
/* From here on it is TLS. Counts x. 0, or -ENOMEM. */
int conn_secure(struct conn *c, struct tls_context *x);
/* Goes on with the handshake: 0 when it is done, -EAGAIN (wake follows), or another
 * -errno. */
int conn_handshake(struct conn *c);
/* Gives TLS up, after a handshake that failed: what comes is bytes. */
void conn_bare(struct conn *c);

/* due in clock_now() ns; 0 for none. Replaces the last one. */
void conn_deadline(struct conn *c, uint64_t due);

/* From now on bytes move at this pace; NULL: as they come. Borrows it; what it holds back
 * is free again. */
void conn_pace(struct conn *c, struct pace *pace);
/* For the pace's `free`. */
void conn_go_on(struct conn *c);

/* Each returns the bytes moved (> 0), -EAGAIN (the flag is cleared, wake follows), or
 * another -errno. conn_recv returns 0 at the end of the stream. */
ssize_t conn_recv(struct conn *c, void *buf, size_t n);
ssize_t conn_writev(struct conn *c, const struct iovec *iov, int count);
/* Sends up to n bytes of file from *offset and moves *offset. 0 means that the file
 * ended. */
ssize_t conn_sendfile(struct conn *c, int file, off_t *offset, size_t n);
/* Whether a small write would be taken as a whole (the kernel has a third of its buffer
 * free). When not, wake follows. */
bool conn_is_roomy(struct conn *c);
/* Ends our side (FIN); the peer may still send. */
void conn_shutdown(struct conn *c);
/* What was sent is not all, and the peer must see it: closing will reset the connection.
 */
void conn_tear(struct conn *c);

/* Gathers small writes into full segments while on (TCP_CORK); off sends at once. */
void conn_cork(struct conn *c, bool on);

#endif
