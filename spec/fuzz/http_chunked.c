/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a chunked body: runs stay inside, progress never stops, and the answer
 * does not depend on how the bytes are split (the first byte of the input says how).
 */
#include "http/chunked.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct outcome {
    int rc;
    bool done;
    size_t used;
    uint64_t bytes, sum; /* of the data, order included */
};

static struct outcome decode(const char *in, size_t n, size_t piece)
{
    struct chunked c;
    struct outcome o = {0};
    chunked_init(&c);
    while (o.rc == 0 && o.used < n && !c.done) {
        const char *run;
        size_t run_n, used, part = n - o.used < piece ? n - o.used : piece;
        o.rc = chunked_decode(&c, in + o.used, part, &used, &run, &run_n);
        assert(used <= part && (o.rc || used > 0));
        assert(run_n == 0 || (run >= in + o.used && run + run_n <= in + o.used + used));
        for (size_t i = 0; i < run_n; i++)
            o.sum = o.sum * 31 + (uint8_t)run[i];
        o.bytes += run_n;
        o.used += used;
    }
    o.done = c.done;
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    const char *in = (const char *)data + 1;
    struct outcome whole = decode(in, n - 1, n),
                   split = decode(in, n - 1, 1 + data[0] % 32);
    assert(whole.rc == split.rc && whole.done == split.done);
    assert(whole.used == split.used && whole.bytes == split.bytes);
    assert(whole.sum == split.sum && whole.bytes <= whole.used);
    return 0;
}
