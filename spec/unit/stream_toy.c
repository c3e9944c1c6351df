/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/stream_toy.h"

#include "spec/unit/unit.h"

#include <string.h>
#include <unistd.h>

void (*toy_event)(void);

uint64_t toy_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint8_t pattern[TOY_PATTERN_SIZE];

__attribute__((constructor)) static void make_pattern(void)
{
    uint64_t state = 7;
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)toy_random(&state);
}

const uint8_t *toy_pattern(void)
{
    return pattern;
}

static void tell(void)
{
    if (toy_event)
        toy_event();
}

static void answer_now(struct toy_answer *a)
{
    EXPECT(a->due);
    a->due = false;
    a->give(a);
}

static void on_round(struct call *c)
{
    struct toy_answer *a = CONTAINER(c, struct toy_answer, call);
    if (a->rounds-- > 0)
        worker_defer(worker_self(), &a->call);
    else
        answer_now(a);
}

static void answer_init(struct toy_answer *a, enum toy_pace pace, uint64_t seed,
                        void (*give)(struct toy_answer *))
{
    *a = (struct toy_answer){{.fn = on_round}, seed, pace, 0, false, 0, give};
}

static void owe(struct toy_answer *a, ssize_t value)
{
    EXPECT(!a->due);
    a->due = true;
    a->value = value;
    a->rounds = (int)(toy_random(&a->random) % 4);
    if (a->pace == TOY_AT_ONCE || (a->pace == TOY_EITHER && a->rounds < 2))
        answer_now(a);
    else if (a->pace != TOY_NEVER)
        worker_defer(worker_self(), &a->call);
}

/* Ends what is owed soon: at once or in the next round. */
static void cut_short(struct toy_answer *a)
{
    EXPECT(a->due);
    a->value = E_CANCELLED;
    a->rounds = 0;
    if (a->pace != TOY_NEVER)
        return;
    if (toy_random(&a->random) % 2)
        answer_now(a);
    else
        worker_defer(worker_self(), &a->call);
}

static void toy_pull(struct source *s, uint8_t *buf, size_t cap)
{
    struct toy_source *t = CONTAINER(s, struct toy_source, source);
    tell();
    EXPECT(!t->ended && cap > 0);
    if (t->pulls++ == t->fail_at) {
        t->ended = true;
        owe(&t->answer, E_IO);
        return;
    }
    uint64_t left = t->total - t->at;
    size_t n = left < cap ? (size_t)left : cap;
    if (t->most && n)
        n = 1 + toy_random(&t->answer.random) % (n < t->most ? n : t->most);
    memcpy(buf, t->bytes + t->at, n);
    t->at += n;
    t->ended = n == 0;
    owe(&t->answer, (ssize_t)n);
}

static void toy_await(struct source *s)
{
    struct toy_source *t = CONTAINER(s, struct toy_source, source);
    tell();
    EXPECT(!t->ended);
    t->awaits++;
    owe(&t->answer, 1);
}

static void toy_source_cancel(struct source *s)
{
    struct toy_source *t = CONTAINER(s, struct toy_source, source);
    t->ended = true;
    EXPECT_EQ(t->cancels++, 0);
    cut_short(&t->answer);
}

static void toy_close(struct source *s)
{
    CONTAINER(s, struct toy_source, source)->closes++;
}

static void give_source(struct toy_answer *a)
{
    source_answer(&CONTAINER(a, struct toy_source, answer)->source, a->value);
}

void toy_source_init(struct toy_source *s, uint64_t total, bool known, bool awaits,
                     enum toy_pace pace, uint64_t seed)
{
    static const struct source_ops plain = {
        .name = "toy", .pull = toy_pull, .cancel = toy_source_cancel, .close = toy_close};
    static const struct source_ops awaiting = {.name = "toy",
                                               .pull = toy_pull,
                                               .await = toy_await,
                                               .cancel = toy_source_cancel,
                                               .close = toy_close};
    *s = (struct toy_source){.bytes = pattern, .total = total, .fail_at = TOY_NO_STEP};
    source_init(&s->source, awaits ? &awaiting : &plain, known ? total : SIZE_UNKNOWN);
    answer_init(&s->answer, pace, seed, give_source);
}

static bool is_pattern(const uint8_t *p, size_t n, uint64_t at)
{
    return at + n <= TOY_PATTERN_SIZE && memcmp(p, pattern + at, n) == 0;
}

static void toy_push(struct sink *s, const uint8_t *p, size_t n)
{
    struct toy_sink *k = CONTAINER(s, struct toy_sink, sink);
    tell();
    EXPECT(!k->failed && !k->finishes && !k->aborts);
    EXPECT(k->n_lent ? k->n_lent < s->ops->depth : k->doing == TOY_IDLE);
    EXPECT(is_pattern(p, n, k->at));
    k->doing = TOY_PUSH;
    bool fails =
        k->pushes++ == k->fail_at || (k->n_lent && k->lent[k->n_lent - 1].rc != 0);
    k->lent[k->n_lent++] = (struct toy_lent){p, n, k->at, fails ? E_NO_SPACE : 0};
    k->at += n;
    if (k->n_lent > k->most_lent)
        k->most_lent = k->n_lent;
    if (k->n_lent == 1)
        owe(&k->answer, k->lent->rc);
}

static void toy_splice(struct sink *s, int fd, uint64_t offset, uint64_t n)
{
    static uint8_t got[TOY_PATTERN_SIZE];
    struct toy_sink *k = CONTAINER(s, struct toy_sink, sink);
    tell();
    EXPECT(!k->pushes && !k->splices);
    EXPECT_EQ(pread(fd, got, n, (off_t)offset), n);
    EXPECT(memcmp(got, pattern + offset, n) == 0);
    k->doing = TOY_PUSH;
    k->splices++;
    k->at = k->fail_at == 0 ? n / 2 : n;
    owe(&k->answer, k->fail_at == 0 ? E_NO_SPACE : 0);
}

static void toy_finish(struct sink *s)
{
    struct toy_sink *k = CONTAINER(s, struct toy_sink, sink);
    EXPECT(!k->failed && k->doing == TOY_IDLE && !k->aborts);
    EXPECT_EQ(k->finishes++, 0);
    tell();
    k->doing = TOY_FINISH;
    owe(&k->answer, k->finish_rc);
}

static void toy_abort(struct sink *s)
{
    struct toy_sink *k = CONTAINER(s, struct toy_sink, sink);
    tell();
    EXPECT(k->doing == TOY_IDLE);
    EXPECT_EQ(k->aborts++, 0);
    k->doing = TOY_ABORT;
    k->answer.pace = k->answer.pace == TOY_NEVER ? TOY_LATER : k->answer.pace;
    owe(&k->answer, 0);
}

static void toy_sink_cancel(struct sink *s)
{
    struct toy_sink *k = CONTAINER(s, struct toy_sink, sink);
    EXPECT(k->doing == TOY_PUSH);
    EXPECT_EQ(k->cancels++, 0);
    cut_short(&k->answer);
}

/* Answers the oldest push, whose bytes must not have changed yet. */
static void give_push(struct toy_sink *k, int rc)
{
    EXPECT(is_pattern(k->lent->p, k->lent->n, k->lent->at));
    if (rc == 0)
        k->sink.moved += k->lent->n;
    k->n_lent--;
    memmove(k->lent, k->lent + 1, k->n_lent * sizeof k->lent[0]);
    if (k->n_lent == 0) {
        k->doing = TOY_IDLE;
        sink_answer(&k->sink, rc);
        return;
    }
    sink_answer(&k->sink, rc);
    if (k->cancels && k->answer.pace == TOY_NEVER)
        k->answer.pace = TOY_EITHER;
    owe(&k->answer, k->cancels ? E_CANCELLED : k->lent->rc);
}

static void give_sink(struct toy_answer *a)
{
    struct toy_sink *k = CONTAINER(a, struct toy_sink, answer);
    k->failed |= a->value < 0;
    if (k->n_lent) {
        give_push(k, (int)a->value);
        return;
    }
    if (k->doing == TOY_PUSH)
        k->sink.moved = k->at;
    k->doing = TOY_IDLE;
    sink_answer(&k->sink, (int)a->value);
}

void toy_sink_init(struct toy_sink *k, bool splices, enum toy_pace pace, uint64_t seed)
{
    static const struct sink_ops plain = {.name = "toy",
                                          .push = toy_push,
                                          .finish = toy_finish,
                                          .abort = toy_abort,
                                          .cancel = toy_sink_cancel};
    static const struct sink_ops splicing = {.name = "toy",
                                             .push = toy_push,
                                             .splice = toy_splice,
                                             .finish = toy_finish,
                                             .abort = toy_abort,
                                             .cancel = toy_sink_cancel};
    *k = (struct toy_sink){.fail_at = TOY_NO_STEP};
    sink_init(&k->sink, splices ? &splicing : &plain);
    answer_init(&k->answer, pace, seed, give_sink);
}

void toy_sink_deepen(struct toy_sink *k)
{
    static const struct sink_ops deep = {.name = "toy",
                                         .depth = TOY_DEPTH,
                                         .push = toy_push,
                                         .finish = toy_finish,
                                         .abort = toy_abort,
                                         .cancel = toy_sink_cancel};
    k->sink.ops = &deep;
}

void toy_run(struct worker *w, void (*fn)(struct call *))
{
    struct call c = {.fn = fn};
    worker_defer(w, &c);
    worker_run(w);
}
