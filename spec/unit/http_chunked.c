/* SPDX-License-Identifier: Apache-2.0 */
#include "http/chunked.h"
#include "spec/unit/unit.h"

#include <stdio.h>
#include <string.h>

#define ROOM 1024

static const struct {
    const char *wire, *body;
} valid[] = {
    {"0\r\n\r\n", ""},
    {"5\r\nhello\r\n0\r\n\r\n", "hello"},
    {"1\r\na\r\n2\r\nbc\r\n0000\r\n\r\n", "abc"},
    {"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"},
    {"0000000000000003\r\n\r\n0\r\n0000000000000000\r\n\r\n", "\r\n0"},
    {"3;x=y;z=\"q\t\xc3\xa9\"\r\nabc\r\n0;\r\n\r\n", "abc"},
    {"1\r\nx\r\n0\r\nX-Sum: abc\r\ny:\r\n\r\n", "x"},
};

/* Decodes n bytes in pieces of `piece`; returns 0 or the fault. */
static int decode(const char *in, size_t n, size_t piece, char *out, size_t *out_n,
                  size_t *used, bool *done)
{
    struct chunked c;
    chunked_init(&c);
    *used = *out_n = 0;
    *done = false;
    while (*used < n && !c.done) {
        const char *data;
        size_t data_n, part = n - *used < piece ? n - *used : piece, got;
        int rc = chunked_decode(&c, in + *used, part, &got, &data, &data_n);
        EXPECT(got <= part);
        if (rc)
            return rc;
        EXPECT(got > 0);
        EXPECT(!data_n || (data >= in + *used && data + data_n <= in + *used + got));
        if (data_n)
            memcpy(out + *out_n, data, data_n);
        *out_n += data_n;
        *used += got;
    }
    *done = c.done;
    return 0;
}

TEST("http chunked: decodes bodies in pieces of every size")
{
    for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
        size_t n = strlen(valid[i].wire), out_n, used;
        char wire[ROOM], out[ROOM];
        bool done;
        snprintf(wire, sizeof wire, "%sGET /", valid[i].wire);
        for (size_t piece = 1; piece <= n + 5; piece++) {
            EXPECT_EQ(decode(wire, n + 5, piece, out, &out_n, &used, &done), 0);
            EXPECT(done);
            EXPECT_EQ(used, n); /* what follows is not touched */
            EXPECT_EQ(out_n, strlen(valid[i].body));
            EXPECT(memcmp(out, valid[i].body, out_n) == 0);
        }
    }
}

TEST("http chunked: waits for more wherever a body is cut off")
{
    for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
        size_t n = strlen(valid[i].wire), out_n, used;
        char out[ROOM];
        bool done;
        for (size_t cut = 0; cut < n; cut++) {
            char *p = unit_guarded(valid[i].wire, cut);
            EXPECT_EQ(decode(p, cut, cut + 1, out, &out_n, &used, &done), 0);
            EXPECT(!done && used == cut);
            EXPECT(out_n == 0 || memcmp(out, valid[i].body, out_n) == 0);
        }
    }
}

TEST("http chunked: goes on at any split in two")
{
    for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
        size_t n = strlen(valid[i].wire);
        for (size_t cut = 0; cut <= n; cut++) {
            struct chunked c;
            char out[ROOM];
            size_t out_n = 0, at = 0, got, data_n;
            const char *data;
            chunked_init(&c);
            while (at < n) {
                size_t end = at < cut ? cut : n;
                EXPECT_EQ(chunked_decode(&c, valid[i].wire + at, end - at, &got, &data,
                                         &data_n),
                          0);
                if (data_n)
                    memcpy(out + out_n, data, data_n);
                out_n += data_n;
                at += got;
            }
            EXPECT(c.done && out_n == strlen(valid[i].body));
            EXPECT(memcmp(out, valid[i].body, out_n) == 0);
        }
    }
}

TEST("http chunked: lets data be taken without passing through")
{
    struct chunked c;
    const char *data;
    size_t used, data_n;
    chunked_init(&c);
    EXPECT_EQ(chunked_run(&c), 0);
    EXPECT_EQ(chunked_decode(&c, "100\r\nab", 7, &used, &data, &data_n), 0);
    EXPECT_EQ(data_n, 2);
    EXPECT_EQ(chunked_run(&c), 254);
    chunked_took(&c, 200);
    chunked_took(&c, 54);
    EXPECT_EQ(chunked_run(&c), 0);
    EXPECT_EQ(chunked_decode(&c, "\r\n0\r\n\r\n", 7, &used, &data, &data_n), 0);
    EXPECT(c.done && used == 7 && data_n == 0);
}

TEST("http chunked: refuses each fault by its name")
{
    static const struct {
        int fault;
        const char *wire;
    } cases[] = {
        {HTTP_FAULT_CHUNK_SIZE, "\r\n"},
        {HTTP_FAULT_CHUNK_SIZE, ";x\r\n"},
        {HTTP_FAULT_CHUNK_SIZE, "g\r\n"},
        {HTTP_FAULT_CHUNK_SIZE, "0x5\r\nhello\r\n"},
        {HTTP_FAULT_CHUNK_SIZE, "+5\r\nhello\r\n"},
        {HTTP_FAULT_CHUNK_SIZE, "-5\r\nhello\r\n"},
        {HTTP_FAULT_CHUNK_SIZE, " 5\r\nhello\r\n"},
        {HTTP_FAULT_CHUNK_SIZE, "5 \r\nhello\r\n"},
        {HTTP_FAULT_CHUNK_SIZE, "5\nhello\r\n"},
        {HTTP_FAULT_CHUNK_SIZE, "5\rhello\r\n"},
        {HTTP_FAULT_CHUNK_SIZE, "00000000000000005\r\nhello\r\n"},
        {HTTP_FAULT_CHUNK_SIZE, "8000000000000000\r\n"},
        {HTTP_FAULT_CHUNK_SIZE, "ffffffffffffffff\r\n"},
        {HTTP_FAULT_CHUNK_SIZE, "10000000000000001\r\n"},
        {HTTP_FAULT_CHUNK_EXTENSION, "5;a\nhello\r\n"},
        {HTTP_FAULT_CHUNK_EXTENSION, "5;a\x01\r\nhello\r\n"},
        {HTTP_FAULT_CHUNK_SIZE, "5;a\rb\r\nhello\r\n"},
        {HTTP_FAULT_CHUNK_END, "5\r\nhelloX"},
        {HTTP_FAULT_CHUNK_END, "5\r\nhello\n"},
        {HTTP_FAULT_CHUNK_END, "5\r\nhello\rX"},
        {HTTP_FAULT_CHUNK_END, "5\r\nhello0\r\n\r\n"},
        {HTTP_FAULT_CHUNK_SIZE, "5\r\nhello\r\n\r\n"},
        {HTTP_FAULT_TRAILER, "0\r\n: x\r\n\r\n"},
        {HTTP_FAULT_TRAILER, "0\r\n x: y\r\n\r\n"},
        {HTTP_FAULT_TRAILER, "0\r\nx : y\r\n\r\n"},
        {HTTP_FAULT_TRAILER, "0\r\nx\r\n\r\n"},
        {HTTP_FAULT_TRAILER, "0\r\nx: a\nb: c\r\n\r\n"},
        {HTTP_FAULT_TRAILER, "0\r\nx: a\x01\r\n\r\n"},
        {HTTP_FAULT_TRAILER, "0\r\nx: a\r\n b\r\n\r\n"},
        {HTTP_FAULT_TRAILER, "0\r\n\rX"},
        {HTTP_FAULT_TRAILER, "0\r\n\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = strlen(cases[i].wire), out_n, used;
        char out[ROOM];
        bool done;
        for (size_t piece = 1; piece <= n; piece++) {
            int rc = decode(cases[i].wire, n, piece, out, &out_n, &used, &done);
            if (rc != cases[i].fault)
                unit_fail(__FILE__, __LINE__, "%s instead of %s for \"%s\"",
                          http_fault_name(rc), http_fault_name(cases[i].fault),
                          cases[i].wire);
        }
    }
}

TEST("http chunked: has exact limits")
{
    static const struct {
        const char *before, *behind;
        size_t fill;
        int fault;
    } cases[] = {
        {"1;", "\r\nx\r\n0\r\n\r\n", 256, 0},
        {"1;", "\r\nx\r\n0\r\n\r\n", 257, HTTP_FAULT_CHUNK_EXTENSION},
        {"0\r\nx:", "\r\n\r\n", HTTP_HEAD_MAX - 6, 0},
        {"0\r\nx:", "\r\n\r\n", HTTP_HEAD_MAX - 5, HTTP_FAULT_TRAILERS_LONG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static char wire[2 * HTTP_HEAD_MAX], out[ROOM];
        size_t n = strlen(cases[i].before), out_n, used;
        bool done;
        memcpy(wire, cases[i].before, n);
        memset(wire + n, 'e', cases[i].fill);
        n += cases[i].fill;
        n += (size_t)sprintf(wire + n, "%s", cases[i].behind);
        EXPECT_EQ(decode(wire, n, n, out, &out_n, &used, &done), cases[i].fault);
        EXPECT(done == (cases[i].fault == 0));
    }
}

TEST("http chunked: gives one answer to 50000 mutated bodies however they are split")
{
    for (int i = 0; i < 50000; i++) {
        static const char odd[] = "\r\n0123456789abcdefF;: xX+-\x01\xff";
        const char *from = valid[unit_random() % (sizeof valid / sizeof valid[0])].wire;
        size_t n = strlen(from), used[2], out_n[2];
        char wire[ROOM], out[2][ROOM];
        bool done[2];
        memcpy(wire, from, n);
        for (uint64_t edits = 1 + unit_random() % 3; edits; edits--)
            wire[unit_random() % n] = odd[unit_random() % sizeof odd];
        char *first = out[0], *second = out[1];
        size_t piece = 1 + unit_random() % n;
        int rc = decode(wire, n, n, first, &out_n[0], &used[0], &done[0]);
        EXPECT_EQ(decode(wire, n, piece, second, &out_n[1], &used[1], &done[1]), rc);
        EXPECT(done[0] == done[1] && (rc || used[0] == used[1]));
        EXPECT(out_n[0] == out_n[1] && memcmp(first, second, out_n[0]) == 0);
    }
}
