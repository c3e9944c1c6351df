/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/source.h"

void source_init(struct source *s, const struct source_ops *ops, uint64_t size)
{
    *s = (struct source){.magic = SOURCE_MAGIC, .ops = ops, .size = size};
}

void source_pull(struct source *s, uint8_t *buf, size_t cap)
{
    CHECK(s, SOURCE_MAGIC);
    assert(cap > 0 && s->answer);
    s->ops->pull(s, buf, cap);
}

void source_await(struct source *s)
{
    CHECK(s, SOURCE_MAGIC);
    assert(s->answer);
    s->ops->await(s);
}

int source_window(struct source *s, uint64_t offset, uint64_t n)
{
    CHECK(s, SOURCE_MAGIC);
    return s->ops->window ? s->ops->window(s, offset, n) : E_UNSUPPORTED;
}

int source_file(struct source *s, int *fd, uint64_t *offset, uint64_t *n)
{
    CHECK(s, SOURCE_MAGIC);
    return s->ops->file ? s->ops->file(s, fd, offset, n) : E_UNSUPPORTED;
}

const uint8_t *source_memory(struct source *s, size_t *n)
{
    CHECK(s, SOURCE_MAGIC);
    return s->ops->memory ? s->ops->memory(s, n) : NULL;
}

void source_cancel(struct source *s)
{
    CHECK(s, SOURCE_MAGIC);
    if (s->ops->cancel)
        s->ops->cancel(s);
}

void source_close(struct source *s)
{
    if (!s)
        return;
    CHECK(s, SOURCE_MAGIC);
    POISON(s);
    s->ops->close(s);
}

void source_answer(struct source *s, ssize_t n)
{
    CHECK(s, SOURCE_MAGIC);
    s->answer(s, n);
}
