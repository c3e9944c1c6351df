/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors. A function that can fail returns 0 or a negative code: either -errno from the
 * system, or one of the codes below. They lie under -4096, so the two never meet. Results
 * go to out-parameters, which are set only on success. Thread-safe; nothing is allocated.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

/* X(name, number, HTTP status a handler gets if it lets the error pass, text) */
#define ERR_TABLE(X)                                                                     \
    X(NOT_FOUND, 1, 404, "no such object")                                               \
    X(EXISTS, 2, 409, "the object exists already")                                       \
    X(DENIED, 3, 403, "access denied")                                                   \
    X(INVALID, 4, 400, "invalid argument")                                               \
    X(RANGE, 5, 416, "offset or range not satisfiable")                                  \
    X(NO_SPACE, 6, 507, "no space left in the store")                                    \
    X(BUSY, 7, 503, "busy, try again later")                                             \
    X(TIMEOUT, 8, 503, "took too long")                                                  \
    X(CORRUPT, 9, 500, "stored bytes are damaged")                                       \
    X(UNSUPPORTED, 10, 501, "not supported")                                             \
    X(IO, 11, 500, "input/output error")                                                 \
    X(MORE, 12, 500, "more input is needed")                                             \
    X(CANCELLED, 13, 500, "cancelled")                                                   \
    X(GONE, 14, 400, "the client left before the body was complete")                     \
    X(TOO_LARGE, 15, 413, "larger than allowed")                                         \
    X(MISMATCH, 16, 400, "content does not match its digest")                            \
    X(MALFORMED, 17, 400, "malformed body framing")                                      \
    X(STALLED, 18, 408, "the body stopped arriving")                                     \
    X(UPSTREAM, 19, 502, "an upstream server could not be reached or broke off")         \
    X(LATE, 20, 504, "an upstream server took too long")                                 \
    X(READONLY, 21, 405, "the gateway is read-only for now")

enum {
#define X(name, number, status, text) E_##name = -4096 - (number),
    ERR_TABLE(X)
#undef X
};

/* "NOT_FOUND" or "ENOSPC"; never NULL, static storage. */
const char *err_name(int rc);

/* One sentence for people, no trailing full stop; never NULL, static storage. */
const char *err_text(int rc);

/* The HTTP status that says rc to a client; 500 for what a client cannot help. */
int err_status(int rc);

/* Folds an errno (positive) of a file operation into the store's table: ENOENT to
 * E_NOT_FOUND, ENOSPC and EDQUOT to E_NO_SPACE, EEXIST to E_EXISTS, EACCES, EPERM and
 * ELOOP to E_DENIED, ENAMETOOLONG, ENOTDIR and EISDIR to E_INVALID, everything else to
 * E_IO. */
int err_from_errno(int error);

#endif
