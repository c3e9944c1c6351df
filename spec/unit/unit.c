/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/unit.h"

#include <dirent.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define DOTS 2 /* "." and ".." stand in every folder */

/* ThreadSanitizer runs one of its own. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined __SANITIZE_THREAD__ || __has_feature(thread_sanitizer)
#define OWN_THREADS 2
#else
#define OWN_THREADS 1
#endif

static struct unit_case *cases;
static char tmpdir[64];
static uint64_t seed, random_state;

void unit_add(struct unit_case *c)
{
    c->next = cases;
    cases = c;
}

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_tmpdir(void)
{
    if (tmpdir[0])
        nftw(tmpdir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void unit_fail(const char *file, int line, const char *format, ...)
{
    va_list ap;
    fflush(stdout);
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, " (seed %" PRIu64 ")\n", seed);
    remove_tmpdir();
    _exit(1);
}

const char *unit_tmpdir(void)
{
    const char *base = getenv("TMPDIR");
    if (!tmpdir[0]) {
        snprintf(tmpdir, sizeof tmpdir, "%s/unit.XXXXXX",
                 base && strlen(base) < 40 ? base : "/tmp");
        if (!mkdtemp(tmpdir))
            unit_fail(__FILE__, __LINE__, "cannot make %s", tmpdir);
    }
    return tmpdir;
}

uint64_t unit_seed(void)
{
    return seed;
}

/* splitmix64 (Steele, Lea, Flood 2014) */
uint64_t unit_random(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

char *unit_guarded(const void *p, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (n + page - 1) / page * page;
    char *base = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || mprotect(base + room, page, PROT_NONE) != 0)
        unit_fail(__FILE__, __LINE__, "cannot map a guard page");
    if (n)
        memcpy(base + room - n, p, n);
    return base + room - n;
}

static int open_descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

/* The watchdog's thread lives as long as the process (lua/watch.h). */
static bool is_watchdog(const char *task)
{
    char path[300], name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", task);
    FILE *f = fopen(path, "r");
    bool is = f && fgets(name, sizeof name, f) && strcmp(name, "watchdog\n") == 0;
    if (f)
        fclose(f);
    return is;
}

static int count_threads(void)
{
    int n = -DOTS - OWN_THREADS;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        n += !is_watchdog(e->d_name);
    if (d)
        closedir(d);
    return n;
}

/* Threads that the case left. pthread_join returns a moment before the kernel lets go of
 * one. */
static int leaked_threads(void)
{
    int n = count_threads();
    for (int ms = 0; n > 0 && ms < 500; ms++) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        n = count_threads();
    }
    return n;
}

static void run(const struct unit_case *c)
{
    int descriptors = open_descriptors();
    random_state = seed;
    c->run();
    descriptors = open_descriptors() - descriptors;
    int threads = leaked_threads();
    if (descriptors > 0)
        unit_fail(__FILE__, __LINE__, "%d descriptors leaked", descriptors);
    if (threads > 0)
        unit_fail(__FILE__, __LINE__, "%d threads leaked", threads);
    remove_tmpdir();
}

/* A case of fault.c, which is run only by whoever asks for it. */
static bool is_fault(const struct unit_case *c)
{
    return strncmp(c->name, "fault: ", strlen("fault: ")) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct unit_case *const *)a)->name,
                  (*(struct unit_case *const *)b)->name);
}

int main(int argc, char **argv)
{
    struct unit_case *all[4096];
    size_t n = 0;
    const char *text = getenv("UNIT_SEED");
    seed = text ? strtoull(text, NULL, 10) : 1;
    for (struct unit_case *c = cases; c && n < sizeof all / sizeof all[0]; c = c->next)
        all[n++] = c;
    /* cppcheck-suppress uninitvar -- the first n are set */
    qsort(all, n, sizeof all[0], by_name);
    for (size_t i = 0; i < n; i++) {
        if (argc == 2 && strcmp(argv[1], "--list") == 0) {
            if (!is_fault(all[i]))
                puts(all[i]->name);
        } else if (argc == 3 && strcmp(argv[1], "--run") == 0) {
            if (strcmp(argv[2], all[i]->name) == 0) {
                run(all[i]);
                return 0;
            }
        } else {
            fprintf(stderr, "usage: unit --list | unit --run NAME\n");
            return 2;
        }
    }
    return argc == 3;
}
