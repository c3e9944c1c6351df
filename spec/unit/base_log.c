/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/unit.h"

#include "base/base.h"
#include "base/line.h"
#include "base/writer.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *line_of(bool json, const char *value, size_t n)
{
    static char room[512];
    struct line l;
    line_begin(&l, room, sizeof room, json);
    line_text(&l, "a", (struct span){value, n});
    struct span s = line_end(&l);
    room[s.n] = '\0';
    return room;
}

TEST("base: no value begins a line, forges a field or reorders text")
{
    static const struct {
        const char *value, *text, *json;
    } cases[] = {
        {"plain", "a=plain\n", "{\"a\":\"plain\"}\n"},
        {"", "a=\"\"\n", "{\"a\":\"\"}\n"},
        {"x b=1", "a=\"x b=1\"\n", "{\"a\":\"x b=1\"}\n"},
        {"\"\\", "a=\"\\\"\\\\\"\n", "{\"a\":\"\\\"\\\\\"}\n"},
        {"\r\nx", "a=\"\\u000d\\nx\"\n", "{\"a\":\"\\u000d\\nx\"}\n"},
        {"\x1b[2J\x7f", "a=\"\\u001b[2J\\u007f\"\n", "{\"a\":\"\\u001b[2J\\u007f\"}\n"},
        {"\xc3\xa9", "a=\"\xc3\xa9\"\n", "{\"a\":\"\xc3\xa9\"}\n"},
        {"\xe2\x80\xae", "a=\"\\u202e\"\n", "{\"a\":\"\\u202e\"}\n"},
        {"\xc2\x9b", "a=\"\\u009b\"\n", "{\"a\":\"\\u009b\"}\n"},
        {"\xff", "a=\"\\ufffd\"\n", "{\"a\":\"\\ufffd\"}\n"},
        {"\xc0\xaf", "a=\"\\ufffd\\ufffd\"\n", "{\"a\":\"\\ufffd\\ufffd\"}\n"},
        {"\xe2\x80", "a=\"\\ufffd\\ufffd\"\n", "{\"a\":\"\\ufffd\\ufffd\"}\n"},
        {"\xed\xa0\x80", "a=\"\\ufffd\\ufffd\\ufffd\"\n",
         "{\"a\":\"\\ufffd\\ufffd\\ufffd\"}\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = strlen(cases[i].value);
        char *guarded = unit_guarded(cases[i].value, n);
        EXPECT_STR(line_of(false, guarded, n), cases[i].text);
        EXPECT_STR(line_of(true, guarded, n), cases[i].json);
    }
}

TEST("base: a line that is too long is cut and still closed")
{
    char value[6000], room[256];
    for (size_t n = 0; n < sizeof value; n += 37) {
        struct line l;
        memset(value, n % 2 ? '\n' : 'x', n);
        line_begin(&l, room, sizeof room, true);
        line_text(&l, "a", (struct span){value, n});
        line_text(&l, "b", (struct span){value, n});
        line_number(&l, "c", UINT64_MAX);
        struct span s = line_end(&l);
        EXPECT(s.n <= sizeof room);
        EXPECT(memcmp(s.p + s.n - 2, "}\n", 2) == 0);
        EXPECT(l.cut || n < 256);
        EXPECT(memchr(s.p, '\n', s.n) == s.p + s.n - 1);
    }
}

static char *read_all(const char *path)
{
    static char text[64 << 10];
    FILE *f = fopen(path, "r");
    EXPECT(f != NULL);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

TEST("base: a writer writes in order, and to the end")
{
    struct writer *w;
    char *path = xasprintf("%s/log", unit_tmpdir()), expected[8192] = "";
    EXPECT_EQ(writer_new(path, writer_open(path), NULL, &w), 0);
    for (int i = 0; i < 500; i++) {
        char line[16];
        int n = snprintf(line, sizeof line, "%d\n", i);
        EXPECT(writer_put(w, (struct span){line, (size_t)n}, i % 7 == 0));
        strcat(expected, line);
    }
    writer_free(w);
    EXPECT_STR(read_all(path), expected);
    free(path);
}

TEST("base: a writer goes on in a new file when its own was moved away")
{
    struct writer *w;
    char *path = xasprintf("%s/log", unit_tmpdir()), *old = xasprintf("%s.1", path);
    EXPECT_EQ(writer_new(path, writer_open(path), NULL, &w), 0);
    writer_put(w, SPAN_LIT("one\n"), true);
    writer_flush(w, 5000);
    EXPECT_EQ(rename(path, old), 0);
    writer_put(w, SPAN_LIT("two\n"), true);
    writer_flush(w, 5000);
    writer_reopen(w);
    writer_put(w, SPAN_LIT("three\n"), true);
    writer_free(w);
    EXPECT_STR(read_all(old), "one\ntwo\n");
    EXPECT_STR(read_all(path), "three\n");
    free(path);
    free(old);
}

static atomic_ullong told;

static void on_lost(uint64_t n)
{
    told += n;
}

TEST("base: a writer whose reader sleeps drops lines, counts them and ends")
{
    struct writer *w;
    int pipe_fds[2];
    static char line[1000], sink[1 << 16];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    EXPECT_EQ(pipe(pipe_fds), 0);
    EXPECT_EQ(writer_new(NULL, pipe_fds[1], on_lost, &w), 0);
    uint64_t dropped = 0;
    for (int i = 0; i < 4000; i++) /* four times what there is room for */
        dropped += !writer_put(w, (struct span){line, sizeof line}, true);
    EXPECT(dropped > 1000);
    EXPECT_EQ(writer_lost(w), dropped);
    size_t got = 0;
    fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 5000 && got < (4000 - dropped) * sizeof line; i++) {
        ssize_t n = read(pipe_fds[0], sink, sizeof sink);
        got += n > 0 ? (size_t)n : 0;
        if (n <= 0)
            usleep(1000);
    }
    EXPECT_EQ(got, (4000 - dropped) * sizeof line);
    writer_flush(w, 5000);
    EXPECT_EQ(told, dropped);
    for (int i = 0; i < 1000; i++) /* nobody reads any more */
        writer_put(w, (struct span){line, sizeof line}, true);
    writer_free(w);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}
