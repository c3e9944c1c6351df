/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/sink.h"

void sink_init(struct sink *k, const struct sink_ops *ops)
{
    *k = (struct sink){.magic = SINK_MAGIC, .ops = ops};
}

void sink_push(struct sink *k, const uint8_t *p, size_t n)
{
    CHECK(k, SINK_MAGIC);
    assert(n > 0 && k->answer);
    k->ops->push(k, p, n);
}

void sink_splice(struct sink *k, int fd, uint64_t offset, uint64_t n)
{
    CHECK(k, SINK_MAGIC);
    assert(n > 0 && k->answer);
    k->ops->splice(k, fd, offset, n);
}

void sink_await(struct sink *k)
{
    CHECK(k, SINK_MAGIC);
    k->ops->await(k);
}

void sink_finish(struct sink *k)
{
    CHECK(k, SINK_MAGIC);
    if (k->ops->finish)
        k->ops->finish(k);
    else
        sink_answer(k, 0);
}

void sink_abort(struct sink *k)
{
    CHECK(k, SINK_MAGIC);
    if (k->ops->abort)
        k->ops->abort(k);
    else
        sink_answer(k, 0);
}

void sink_cancel(struct sink *k)
{
    CHECK(k, SINK_MAGIC);
    if (k->ops->cancel)
        k->ops->cancel(k);
}

void sink_close(struct sink *k)
{
    if (!k)
        return;
    CHECK(k, SINK_MAGIC);
    POISON(k);
    if (k->ops->close)
        k->ops->close(k);
}

void sink_answer(struct sink *k, int rc)
{
    CHECK(k, SINK_MAGIC);
    k->answer(k, rc);
}
