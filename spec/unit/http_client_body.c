/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies, both ways: backpressure, sources, and what happens when they fail.
 */
#include "spec/unit/http_origin.h"

#include "base/clock.h"
#include "stream/bufpool.h"

#include <stdlib.h>
#include <string.h>

#define SLOW_STALL (200 * NS_PER_MS)

static struct origin o;
static struct trial t;

/* Is it the pattern again and again, in the pieces that its source gives? */
static bool is_big(const struct trial *x)
{
    uint64_t n = 0;
    for (; n + BUF_SIZE <= x->sink.n; n += BUF_SIZE)
        if (memcmp(x->sink.p + n, toy_pattern(), BUF_SIZE) != 0)
            return false;
    return x->sink.n == ORIGIN_BIG && n == ORIGIN_BIG;
}

TEST("http client: large bodies, their size told or not")
{
    static const char *const paths[] = {"/big", "/stream"};
    origin_start(&o, 0);
    for (int i = 0; i < 2; i++) {
        size_t peak;
        trial_init(&t, &o, paths[i]);
        trial_expect(&t, 0, 200, NULL);
        EXPECT_EQ(t.body_rc, 0);
        EXPECT(is_big(&t));
        bufpool_used(&peak);
        EXPECT(peak <= 2 * PIPE_CHUNKS * BUF_SIZE); /* ours and the origin's */
        trial_fini(&t);
    }
    origin_stop(&o);
}

/* -- pulls in odd pieces ----------------------------------------------------------- */

static uint8_t piece[40000];
static uint64_t pulled;
static struct call next_pull;

static void pull_again(struct call *c)
{
    (void)c;
    size_t cap = 1 + unit_random() % sizeof piece;
    if (unit_random() % 4 == 0)
        cap = 1 + cap % 7;
    source_pull(t.fetch.body, piece, cap);
}

static void on_piece(struct source *s, ssize_t n)
{
    (void)s;
    if (n <= 0) {
        t.body_rc = (int)n;
        trial_end(&t);
        return;
    }
    for (ssize_t i = 0; i < n; i++, pulled++)
        if (piece[i] != toy_pattern()[pulled % BUF_SIZE])
            unit_fail(__FILE__, __LINE__, "byte %llu", (unsigned long long)pulled);
    if (unit_random() % 3 == 0 || pulled > (1u << 20)) {
        source_pull(t.fetch.body, piece, sizeof piece);
        return;
    }
    next_pull.fn = pull_again;
    worker_defer(trial_worker(), &next_pull);
}

static void pull_pieces(struct trial *x)
{
    x->fetch.body->answer = on_piece;
    pull_again(NULL);
}

TEST("http client: a body pulled in odd pieces is the same body")
{
    origin_start(&o, 0);
    for (int i = 0; i < 2; i++) {
        pulled = 0;
        trial_init(&t, &o, i ? "/stream" : "/big");
        t.answered = pull_pieces;
        trial_expect(&t, 0, 200, NULL);
        EXPECT_EQ(t.body_rc, 0);
        EXPECT_EQ(pulled, ORIGIN_BIG);
    }
    origin_stop(&o);
}

/* -- a body that nobody reads ------------------------------------------------------ */

static struct call origin_gave_up;

static void end_trial(struct call *c)
{
    (void)c;
    trial_end(&t);
}

static void tell_trial(void)
{
    origin_gave_up.fn = end_trial;
    worker_post(trial_worker(), &origin_gave_up);
}

static void leave_it(struct trial *x)
{
    (void)x;
}

TEST("http client: what nobody pulls stays with the server")
{
    origin_start(&o, SLOW_STALL);
    o.ended = tell_trial; /* the origin's stall limit ends what does not move */
    trial_init(&t, &o, "/big");
    t.answered = leave_it;
    trial_expect(&t, 0, 200, NULL);
    EXPECT(atomic_load(&o.given) < ORIGIN_BIG / 2); /* what two sockets hold */
    origin_stop(&o);
}

/* -- bodies that end badly --------------------------------------------------------- */

TEST("http client: a body that ends early is no success")
{
    origin_start(&o, 0);
    trial_init(&t, &o, "/short");
    trials_run(&t, 1);
    EXPECT(t.fetch.rc == E_UPSTREAM || (t.fetch.rc == 0 && t.body_rc == E_UPSTREAM));
    trial_fini(&t);
    origin_stop(&o);
}

TEST("http client: stalls, deadlines and limits end a body")
{
    static const struct {
        const char *path;
        uint64_t stall, whole, limit;
        int rc;
    } cases[] = {
        {"/drip", 50 * NS_PER_MS, 20 * NS_PER_S, SIZE_UNKNOWN, E_LATE},
        {"/drip", 20 * NS_PER_S, 50 * NS_PER_MS, SIZE_UNKNOWN, E_LATE},
        {"/big", 20 * NS_PER_S, 20 * NS_PER_S, ORIGIN_BIG - 1, E_TOO_LARGE},
        {"/stream", 20 * NS_PER_S, 20 * NS_PER_S, ORIGIN_BIG - 1, E_TOO_LARGE},
        {"/big", 20 * NS_PER_S, 20 * NS_PER_S, ORIGIN_BIG, 0},
    };
    origin_start(&o, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        trial_init(&t, &o, cases[i].path);
        t.fetch.stall = cases[i].stall;
        t.fetch.whole = cases[i].whole;
        t.fetch.limit = cases[i].limit;
        trials_run(&t, 1);
        EXPECT_STR(err_name(t.fetch.rc ? t.fetch.rc : t.body_rc), err_name(cases[i].rc));
        trial_fini(&t);
    }
    origin_stop(&o);
}

TEST("http client: a server that does not answer is too late")
{
    origin_start(&o, 0);
    for (int i = 0; i < 2; i++) {
        trial_init(&t, &o, "/held");
        *(i ? &t.fetch.stall : &t.fetch.whole) = 50 * NS_PER_MS;
        trial_expect(&t, E_LATE, 0, NULL);
        EXPECT_STR(t.fetch.cause, i ? "nothing moved for too long" : "it took too long");
        trial_fini(&t);
    }
    origin_stop(&o);
}

/* -- what is sent ------------------------------------------------------------------ */

static void expect_echo(struct trial *x, const void *p, size_t n, const char *framing)
{
    EXPECT_EQ(x->fetch.rc, 0);
    EXPECT_EQ(x->body_rc, 0);
    EXPECT_EQ(x->fetch.status, 200);
    EXPECT(strstr(x->head, framing));
    EXPECT(x->sink.n == n && memcmp(x->sink.p, p, n) == 0);
    trial_fini(x);
}

TEST("http client: sends bytes")
{
    static const size_t sizes[] = {1, 100, 70000, TOY_PATTERN_SIZE};
    origin_start(&o, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        trial_init(&t, &o, "/echo");
        t.fetch.method = i % 2 ? "PUT" : "POST";
        t.fetch.has_body = true;
        t.fetch.bytes = (struct span){(const char *)toy_pattern(), sizes[i]};
        trials_run(&t, 1);
        expect_echo(&t, toy_pattern(), sizes[i], "length");
    }
    EXPECT_EQ(atomic_load(&o.connections), 1);
    origin_stop(&o);
}

TEST("http client: an empty body has a length")
{
    static const char *const methods[] = {"POST", "PUT", "PATCH"};
    origin_start(&o, 0);
    for (int i = 0; i < 6; i++) {
        trial_init(&t, &o, "/show");
        t.fetch.method = methods[i % 3];
        t.fetch.has_body = i < 3;
        trials_run(&t, 1);
        EXPECT_EQ(t.fetch.status, 200);
        char *shown = xmemdup(t.sink.p, t.sink.n);
        EXPECT(strstr(shown, "Content-Length: 0\n") && !strstr(shown, "Expect"));
        free(shown);
        trial_fini(&t);
    }
    origin_stop(&o);
}

static struct toy_source toy;

static void give_toy(enum toy_pace pace, bool known, bool awaits, const char *path)
{
    trial_init(&t, &o, path);
    toy_source_init(&toy, TOY_PATTERN_SIZE, known, awaits, pace, unit_random());
    t.fetch.method = "PUT";
    t.fetch.has_body = true;
    t.fetch.source = &toy.source;
}

TEST("http client: sends a source, of every pace, its size told or not")
{
    origin_start(&o, 0);
    for (int pace = 0; pace < TOY_PACES; pace++)
        for (int kind = 0; kind < 4; kind++) {
            give_toy((enum toy_pace)pace, kind & 1, kind & 2, "/echo");
            toy.most = 50000;
            trials_run(&t, 1);
            expect_echo(&t, toy_pattern(), TOY_PATTERN_SIZE,
                        kind & 1 ? "length" : "chunked");
        }
    origin_stop(&o);
}

TEST("http client: an early refusal ends the sending")
{
    static const enum toy_pace paces[] = {TOY_LATER, TOY_NEVER};
    origin_start(&o, 0);
    for (int i = 0; i < 4; i++) {
        give_toy(paces[i / 2], i % 2, false, "/early");
        trial_expect(&t, 0, 413, "too much");
        trial_fini(&t);
    }
    origin_stop(&o);
}

TEST("http client: a source that fails fails the request")
{
    origin_start(&o, 0);
    give_toy(TOY_LATER, true, false, "/echo");
    toy.most = 50000;
    toy.fail_at = 3;
    trial_expect(&t, E_IO, 0, NULL);
    trial_fini(&t);
    give_toy(TOY_LATER, true, false, "/echo");
    toy.source.size += 1; /* promises more than it has */
    trial_expect(&t, E_CORRUPT, 0, NULL);
    trial_fini(&t);
    give_toy(TOY_LATER, true, false, "nonsense://");
    trial_expect(&t, E_INVALID, 0, NULL);
    trial_fini(&t);
    origin_stop(&o);
}
