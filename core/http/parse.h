/* SPDX-License-Identifier: Apache-2.0
 *
 * The request head (RFC 9112), parsed strictly: what could be read in two ways by two
 * programs is refused. Pure: no allocation, no state but the caller's; spans point into
 * the caller's buffer. The eighteen rules and the fault of each are the table below.
 */
#ifndef HTTP_PARSE_H
#define HTTP_PARSE_H

#include "base/base.h"

#include <sys/types.h>

#define HTTP_HEAD_MAX (16 * 1024) /* bytes, final CRLF CRLF included */
#define HTTP_TARGET_MAX (8 * 1024)
#define HTTP_HEADERS_MAX 100
#define HTTP_METHOD_MAX 16

/* X(name, number, HTTP status, sentence for the client) */
#define HTTP_FAULTS(X)                                                                   \
    X(LINE_END, 1, 400, "a line must end with CRLF and hold no other CR or LF")          \
    X(REQUEST_LINE, 2, 400, "the request line must be method, target and version")       \
    X(METHOD, 3, 400, "the method must be a token of at most 16 letters")                \
    X(PROTOCOL, 4, 505, "the version must be HTTP/1.0 or HTTP/1.1")                      \
    X(TARGET, 5, 400, "the target must start with / and hold visible ASCII only")        \
    X(TARGET_LONG, 6, 414, "the target is longer than 8 KiB")                            \
    X(HEADER_NAME, 7, 400, "a header name must be a token directly followed by a colon") \
    X(FOLDED, 8, 400, "header lines must not be folded")                                 \
    X(HEADER_VALUE, 9, 400, "a header value must hold no control characters")            \
    X(HOST, 10, 400, "exactly one well-formed Host header is required")                  \
    X(LENGTH, 11, 400, "Content-Length must be one decimal number, sent once")           \
    X(CODING, 12, 501, "Transfer-Encoding must be exactly chunked, sent once")           \
    X(CODING_OLD, 13, 400, "Transfer-Encoding needs HTTP/1.1")                           \
    X(BOTH, 14, 400, "Content-Length and Transfer-Encoding exclude each other")          \
    X(HEAD_LONG, 15, 431, "the request head is longer than 16 KiB")                      \
    X(HEADERS_MANY, 16, 431, "more than 100 header lines")                               \
    X(EXPECT, 17, 417, "the only expectation known is 100-continue")                     \
    X(CONNECT, 18, 501, "CONNECT is not supported")                                      \
    X(TLS, 19, 400, "a TLS handshake on a plain port")                                   \
    X(CHUNK_SIZE, 20, 400, "a chunk size must be 1 to 16 hexadecimal digits")            \
    X(CHUNK_EXTENSION, 21, 400,                                                          \
      "a chunk extension is malformed or longer than 256 bytes")                         \
    X(CHUNK_END, 22, 400, "chunk data must end with CRLF")                               \
    X(TRAILER, 23, 400, "a trailer line is malformed")                                   \
    X(TRAILERS_LONG, 24, 431, "the trailers are longer than 16 KiB")                     \
    X(HEAD_LATE, 25, 408, "the request head took too long")                              \
    X(PLAIN, 26, 400, "this port speaks TLS: use https://")

enum {
#define X(name, number, status, text) HTTP_FAULT_##name = -8192 - (number),
    HTTP_FAULTS(X)
#undef X
};

bool http_is_fault(int rc);
/* For a fault: the status to answer, its name ("LINE_END"), and what to say. Other codes
 * fall through to err_status, err_name and err_text. */
int http_fault_status(int rc);
const char *http_fault_name(int rc);
const char *http_fault_text(int rc);

struct http_header {
    struct span name;  /* as sent */
    struct span value; /* blanks around it removed */
};

struct http_head {
    struct span method; /* "GET" */
    struct span target; /* as sent: "/v2/a%20b?n=1" */
    struct span path;   /* before the '?', still encoded */
    struct span query;  /* behind the '?'; p is NULL without one */
    int minor;          /* HTTP/1.minor */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t n_headers;
    bool has_host, has_length, chunked;
    bool says_close, says_keep; /* in Connection */
    bool expects_continue;
    bool keep_alive; /* by version and Connection */
    uint64_t length; /* of Content-Length; valid if has_length */
};

/* Absolute targets and fragments are refused (rule 3); an Upgrade field is refused the
 * way RFC 9110, 7.8 provides for: it is read as any other and the connection stays
 * HTTP/1.1.
 *
 * Parses len bytes at buf, of which the first `seen` were looked at by an earlier call
 * that answered E_MORE (so that slow senders cost nothing twice). Empty lines before the
 * request line are not accepted. Returns the bytes of the head (> 0), E_MORE, or a fault.
 */
ssize_t http_parse_head(const char *buf, size_t len, size_t seen, struct http_head *out);

/* The first header of that name, or NULL. */
const struct span *http_header(const struct http_head *head, const char *name);

#endif
