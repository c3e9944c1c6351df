/* SPDX-License-Identifier: Apache-2.0
 *
 * Toy ends for pipes: a source and a sink that answer at once or some rounds later, in
 * odd pieces, and fail or cancel where they are told. They check that the pipe keeps its
 * side of the contract, and that the bytes are those of the pattern.
 */
#ifndef SPEC_STREAM_TOY_H
#define SPEC_STREAM_TOY_H

#include "stream/stream.h"

#define TOY_PATTERN_SIZE (1024 * 1024 + 4096)
/* Byte i of every toy stream is toy_pattern()[i]. */
const uint8_t *toy_pattern(void);

enum toy_pace { TOY_AT_ONCE, TOY_LATER, TOY_EITHER, TOY_NEVER, TOY_PACES = TOY_NEVER };
#define TOY_NO_STEP (-1)

/* What a toy will answer with, and when. */
struct toy_answer {
    struct call call;
    uint64_t random;
    enum toy_pace pace; /* NEVER: only when cancelled; an abort answers all the same */
    int rounds;         /* left to wait */
    bool due;           /* an answer is owed */
    ssize_t value;
    void (*give)(struct toy_answer *);
};

struct toy_source {
    struct source source;
    struct toy_answer answer;
    const uint8_t *bytes; /* the pattern, or others */
    uint64_t total, at;
    size_t most; /* bytes a pull; 0: as many as asked for */
    int fail_at; /* number of the pull that fails with E_IO */
    int pulls, awaits, cancels, closes;
    bool awaiting, ended;
};

#define TOY_DEPTH 3 /* of a deep sink; a pipe that is not held up has that many to lend */

struct toy_sink {
    struct sink sink;
    struct toy_answer answer; /* to the oldest of these */
    struct toy_lent {
        const uint8_t *p;
        size_t n;
        uint64_t at;
        int rc;
    } lent[TOY_DEPTH];
    size_t n_lent, most_lent;
    uint64_t at; /* bytes that it was shown */
    int fail_at; /* number of the push that fails with E_NO_SPACE, as do those behind it */
    int finish_rc;
    int pushes, finishes, aborts, cancels, splices;
    enum { TOY_IDLE, TOY_PUSH, TOY_FINISH, TOY_ABORT } doing;
    bool failed;
};

/* Called at the start of every call a pipe makes to a toy; for cancels. May be NULL. */
extern void (*toy_event)(void);

/* awaits: with an await op. known: the size is told. */
void toy_source_init(struct toy_source *s, uint64_t total, bool known, bool awaits,
                     enum toy_pace pace, uint64_t seed);
/* splices: with a splice op, which reads the file. */
void toy_sink_init(struct toy_sink *k, bool splices, enum toy_pace pace, uint64_t seed);
/* It will take TOY_DEPTH pushes before it has answered the first. Without splices. */
void toy_sink_deepen(struct toy_sink *k);

/* Runs fn on w's thread, which is this one, until worker_stop. */
void toy_run(struct worker *w, void (*fn)(struct call *));

/* splitmix64 on a state of one's own, for threads. */
uint64_t toy_random(uint64_t *state);

#endif
