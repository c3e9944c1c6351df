/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the client: one transfer per fetch, which lives on as the source of the answer's
 * body. For the files of this room only.
 *
 *   client.c    the multi handle of a worker: sockets, its timer, who has ended
 *   transfer.c  one request, from start to done and to the close of its answer's body
 *   easy.c      the request as libcurl wants it
 *   target.c    URLs, redirects and what goes along
 *   answer.c    the lines of an answer's head
 *   upload.c    the request's body, as a sink behind a pipe
 *   download.c  the answer's body, as a source
 *
 * A callback of libcurl never calls anybody: it copies bytes or pauses, notes what
 * happened, and queues transfer_run, in which all is decided. So libcurl is entered from
 * the loop and from the run queue only, and never from itself.
 */
#ifndef HTTP_TRANSFER_H
#define HTTP_TRANSFER_H

#include "base/list.h"
#include "http/client.h"
#include "http/curl.h"
#include "loop/timer.h"
#include "stream/pipe.h"

#define CLIENT_MAGIC 0xC11E4700U
#define TRANSFER_MAGIC 0x74A45FE0U

struct client { /* of one worker */
    unsigned magic;
    struct worker *worker;
    const struct curl_calls *curl;
    CURLM *multi;
    struct timer timer;  /* what libcurl asked for last */
    struct list watches; /* sockets it wants to hear of */
    size_t transfers;    /* that use the multi handle now */
};

struct upload {
    struct sink sink;
    struct pipe pipe;
    const uint8_t *p; /* lent by a push that is not answered, or the bytes of the fetch */
    size_t n, at;
    bool ended;             /* nothing follows p */
    bool piping;            /* between pipe_start and its done */
    bool pushed, cancelled; /* a push is to be answered; and soon */
    bool stopped;           /* what is left of it will not be sent */
};

struct download {
    struct source source;
    uint8_t *to; /* the pull; NULL with cap 0 for an await */
    size_t cap, filled;
    size_t skip; /* bytes taken already of what libcurl will show again */
    uint64_t got, limit;
    bool pulling, cancelled;
};

struct transfer {
    unsigned magic;
    struct worker *worker;
    struct client *client; /* NULL: there is none to be had */
    const struct curl_calls *curl;
    struct fetch *fetch; /* NULL from done on */
    struct call call;    /* transfer_run */
    struct job load;     /* of what this is the first to need; it blocks */
    bool loading;
    struct timer timer;
    uint64_t stall, stall_due, due; /* 0: nothing is waited for; of the whole */
    CURL *easy;
    bool added; /* to the multi handle */
    bool over;  /* libcurl has no more to say */
    int rc;     /* the first failure */
    char cause[FETCH_CAUSE_SIZE];
    char error[CURL_ERROR_SIZE]; /* libcurl's own words */
    struct curl_slist *lines;
    char *url;       /* of this hop */
    char *next;      /* where the redirect goes that is being read, or NULL */
    unsigned follow; /* redirects left */
    bool stranger;   /* a hop has led to another origin */
    bool told;       /* its failure is in the log */
    bool recv_paused, send_paused;
    curl_off_t moved; /* bytes both ways, by libcurl's account */

    /* the answer's head */
    struct arena arena;
    int status;
    struct http_header fields[FETCH_HEADERS_MAX];
    size_t n_fields, head_n;
    bool headed; /* it is complete, and final */

    struct download download;
    struct upload upload;
};

/* client.c */
/* The worker's own, made when it is first asked for. NULL and *why (static). */
struct client *client_get(struct worker *w, const char **why);
/* CURLOPT_CLOSESOCKETFUNCTION; arg is the client. */
int client_close(void *arg, curl_socket_t fd);

/* transfer.c */
/* Notes a failure, if it is the first one, and has transfer_run called. */
void transfer_fail(struct transfer *t, int rc, const char *cause);
/* Has transfer_run called from the run queue. */
void transfer_kick(struct transfer *t);
/* A byte moved, or somebody is waited for from now on. */
void transfer_moved(struct transfer *t);
/* libcurl is done with it; from client.c. */
void transfer_over(struct transfer *t, CURLcode code);
/* What libcurl calls now and then. */
int transfer_progress(void *arg, curl_off_t down_n, curl_off_t down, curl_off_t up_n,
                      curl_off_t up);
/* Ends it now; no pull of the upload is outstanding. Takes t. */
void transfer_free(struct transfer *t);

/* easy.c */
/* Makes t->easy ready for t->fetch. 0, E_INVALID for a request that cannot be sent, or
 * E_UNSUPPORTED; cause says why. */
int easy_setup(struct transfer *t, const char **cause);
/* The same handle for the next hop, t->url. */
int easy_redirect(struct transfer *t, bool stranger);

/* target.c */
/* Is it a URL that is fetched? */
bool target_is_valid(const struct curl_calls *curl, const char *url);
/* "https://host:port", owned; NULL when there is no memory. */
char *target_origin(const struct curl_calls *curl, const char *url);
/* Where a redirect from url goes, owned; NULL when it is not to be followed. */
char *target_next(const struct curl_calls *curl, const char *url, struct span location);
/* May this header go to another origin? */
bool target_takes(struct span name);

/* answer.c */
void answer_init(struct transfer *t);
size_t answer_line(char *p, size_t size, size_t n, void *arg);
const struct span *answer_field(const struct transfer *t, const char *name);
/* Bytes that the answer's body will have, or SIZE_UNKNOWN. */
uint64_t answer_size(const struct transfer *t, bool is_head);

/* upload.c */
void upload_start(struct transfer *t);
/* Goes on as far as it can. True when nothing of it is under way any more: it has left,
 * or was cut short because `stop` said so. */
bool upload_run(struct transfer *t, bool stop);
size_t upload_read(char *p, size_t size, size_t n, void *arg);
int upload_seek(void *arg, curl_off_t offset, int origin);

/* download.c */
size_t download_write(char *p, size_t size, size_t n, void *arg);
/* Makes the source. */
void download_open(struct transfer *t, uint64_t size);
/* Would it take bytes now? */
bool download_has_room(const struct transfer *t);
/* Answers what is outstanding, if it can be; true when it did. */
bool download_run(struct transfer *t);

#endif
