/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/meters.h"

#include "base/base.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/mode.h"
#include "loop/job.h"
#include "stream/bufpool.h"
#include "base/version.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define LANES_MAX 64

static double began; /* seconds since 1970 */

static void one(struct metrics_out *out, const char *name, const char *help,
                enum metric_kind kind, double value)
{
    metrics_head(out, name, help, kind);
    metrics_value(out, name, NULL, "", value);
}

static double descriptors(void)
{
    double n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return -1;
    while (readdir(d))
        n++;
    closedir(d);
    return n - 3; /* "." and "..", and the one that looks */
}

/* Bytes: all of it, and what is in memory. */
static void memory(double *virtual, double *resident)
{
    unsigned long all = 0, present = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%lu %lu", &all, &present) != 2)
        all = present = 0;
    if (f)
        fclose(f);
    *virtual = (double)all * (double)sysconf(_SC_PAGESIZE);
    *resident = (double)present * (double)sysconf(_SC_PAGESIZE);
}

/* Under the names that every Prometheus client gives them. */
static void look_at_process(struct metrics_out *out)
{
    struct rusage used = {.ru_maxrss = 0};
    struct rlimit limit = {0, 0};
    double virtual, resident;
    getrusage(RUSAGE_SELF, &used);
    getrlimit(RLIMIT_NOFILE, &limit);
    memory(&virtual, &resident);
    one(out, "process_cpu_seconds_total", "Processor time, user and system.",
        METRIC_COUNTER,
        (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
            (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    one(out, "process_resident_memory_bytes", "Memory in use.", METRIC_GAUGE, resident);
    one(out, "process_virtual_memory_bytes", "Address space in use.", METRIC_GAUGE,
        virtual);
    one(out, "process_open_fds", "Open file descriptors.", METRIC_GAUGE, descriptors());
    one(out, "process_max_fds", "The most file descriptors that may be open.",
        METRIC_GAUGE, (double)limit.rlim_cur);
    one(out, "process_start_time_seconds", "When it was started, since 1970.",
        METRIC_GAUGE, began);
}

static void look_at_lanes(struct metrics_out *out)
{
    struct lane_state lanes[LANES_MAX];
    size_t n = lanes_look(lanes, LANES_MAX);
    metrics_head(out, "tidegate_jobs_queued", "Jobs that wait for a thread, by lane.",
                 METRIC_GAUGE);
    for (size_t i = 0; i < n; i++)
        metrics_value(out, "tidegate_jobs_queued", "lane", lanes[i].name,
                      (double)lanes[i].queued);
    metrics_head(out, "tidegate_jobs_running", "Jobs that run, by lane.", METRIC_GAUGE);
    for (size_t i = 0; i < n; i++)
        metrics_value(out, "tidegate_jobs_running", "lane", lanes[i].name,
                      (double)lanes[i].running);
}

static void look(struct metrics_out *out)
{
    size_t peak, used = bufpool_used(&peak);
    metrics_head(out, "tidegate_build_info", "The version that runs; always 1.",
                 METRIC_GAUGE);
    metrics_value(out, "tidegate_build_info", "version", VERSION, 1);
    one(out, "tidegate_buffers_bytes", "Buffers that bodies hold now.", METRIC_GAUGE,
        (double)used);
    one(out, "tidegate_buffers_peak_bytes", "The most that bodies held at once.",
        METRIC_GAUGE, (double)peak);
    one(out, "tidegate_draining", "1 while it is about to stop.", METRIC_GAUGE,
        mode_is(MODE_DRAINING));
    one(out, "tidegate_readonly", "1 while it refuses changes.", METRIC_GAUGE,
        mode_is(MODE_READONLY));
    metrics_head(out, "tidegate_log_lost_lines_total",
                 "Lines that a log had no room for.", METRIC_COUNTER);
    metrics_value(out, "tidegate_log_lost_lines_total", "log", "log",
                  (double)log_lost(false));
    metrics_value(out, "tidegate_log_lost_lines_total", "log", "access",
                  (double)log_lost(true));
    look_at_lanes(out);
    look_at_process(out);
}

void meters_start(void)
{
    began = (double)(clock_wall() / NS_PER_MS) / 1e3;
    metrics_look(look);
}
