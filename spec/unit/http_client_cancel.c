/* SPDX-License-Identifier: Apache-2.0
 *
 * A fetch that is cancelled, and a body that is closed, at every stage: done runs once,
 * the connection goes, nothing is left.
 */
#include "spec/unit/http_origin.h"

#include <string.h>

static struct origin o;
static struct trial t;
static struct call call;

static void cancel(struct call *c)
{
    (void)c;
    fetch_cancel(&t.fetch);
    fetch_cancel(&t.fetch); /* harmless */
    EXPECT_EQ(t.dones, 0);
}

/* From the origin, or before the loop has begun: then right behind the start. */
static void post_cancel(void)
{
    call.fn = cancel;
    worker_post(trial_worker(), &call);
}

static void expect_cancelled(void)
{
    trial_expect(&t, E_CANCELLED, 0, NULL);
    fetch_cancel(&t.fetch); /* after done: harmless */
    trial_fini(&t);
}

TEST("http client: cancelled before it connects")
{
    origin_start(&o, 0);
    trial_init(&t, &o, "/hello");
    post_cancel();
    expect_cancelled();
    trial_init(&t, &o, "http://name.invalid/");
    post_cancel();
    expect_cancelled();
    origin_stop(&o);
}

TEST("http client: cancelled while it waits for an answer")
{
    origin_start(&o, 0);
    o.began = post_cancel;
    trial_init(&t, &o, "/held");
    expect_cancelled();
    origin_stop(&o); /* drains: the origin has seen that we left */
    EXPECT_EQ(atomic_load(&o.gone), 1);
}

TEST("http client: cancelled while it sends a source that stands still")
{
    struct toy_source toy;
    origin_start(&o, 0);
    o.began = post_cancel;
    trial_init(&t, &o, "/echo");
    toy_source_init(&toy, 1000, false, false, TOY_NEVER, 1);
    t.fetch.method = "PUT";
    t.fetch.has_body = true;
    t.fetch.source = &toy.source;
    expect_cancelled();
    EXPECT_EQ(toy.cancels, 1);
    origin_stop(&o);
}

/* -- bodies ------------------------------------------------------------------------ */

static uint8_t buf[1000];
static ssize_t answers[2];
static int n_answers;

static void close_at_once(struct trial *x)
{
    trial_end(x);
}

static void on_answer(struct source *s, ssize_t n)
{
    EXPECT(s == t.fetch.body);
    answers[n_answers++] = n;
    trial_end(&t);
}

static void close_after_piece(struct trial *x)
{
    x->fetch.body->answer = on_answer;
    source_pull(x->fetch.body, buf, sizeof buf);
}

static void cancel_pull(struct trial *x)
{
    x->fetch.body->answer = on_answer;
    source_pull(x->fetch.body, buf, sizeof buf);
    source_cancel(x->fetch.body);
}

TEST("http client: a body closed early ends the request")
{
    static void (*const ways[])(struct trial *) = {close_at_once, close_after_piece,
                                                   cancel_pull};
    static const char *const paths[] = {"/big", "/drip"};
    origin_start(&o, 0);
    for (size_t way = 0; way < 3; way++)
        for (size_t path = 0; path < 2; path++) {
            n_answers = 0;
            trial_init(&t, &o, paths[path]);
            t.answered = ways[way];
            trial_expect(&t, 0, 200, NULL);
            EXPECT(n_answers == (way == 0 ? 0 : 1));
            EXPECT(way != 1 || answers[0] > 0);
            EXPECT(way != 2 || answers[0] == E_CANCELLED);
        }
    EXPECT_EQ(atomic_load(&o.connections), 6);
    origin_stop(&o);
}
