/* SPDX-License-Identifier: Apache-2.0 */
#include "command/ask.h"

#include "base/base.h"
#include "serve/control.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SILENCE_S 120 /* without a byte from the server */

/* A connected socket, or -errno. */
static int connect_to(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct timeval patience = {SILENCE_S, 0};
    size_t n = strlen(path);
    if (n > CONTROL_PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(at.sun_path, path, n + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&at, sizeof at) == 0)
        return fd;
    int rc = -errno;
    close(fd);
    return rc;
}

static int connect_to_server(bool quiet)
{
    char *path = control_path();
    int fd = path ? connect_to(path) : -EINVAL;
    if (quiet)
        ;
    else if (!path)
        fprintf(stderr, "tidegate: TIDEGATE_CONTROL is off\n");
    else if (fd < 0)
        fprintf(stderr,
                "tidegate: no server answers at %s: %s\n"
                "(its TIDEGATE_CONTROL, RUNTIME_DIRECTORY or TIDEGATE_DATA are needed "
                "here, too)\n",
                path, strerror(-fd));
    free(path);
    return fd;
}

static size_t hear(void *buffer, size_t size, void *arg)
{
    ssize_t n = TEMP_FAILURE_RETRY(recv(*(int *)arg, buffer, size, 0));
    return n < 0 ? (size_t)-1 : (size_t)n;
}

/* The answer, or NULL; why is then on stderr, unless `quiet`. */
static json_t *ask(const char *question, bool quiet)
{
    json_error_t fault;
    json_t *answer = NULL;
    int fd = connect_to_server(quiet);
    if (fd < 0)
        return NULL;
    size_t n = strlen(question);
    if (send(fd, question, n, MSG_NOSIGNAL) == (ssize_t)n)
        answer = json_load_callback(hear, &fd, 0, &fault);
    close(fd);
    const char *error = json_string_value(json_object_get(answer, "error"));
    if (answer && !error)
        return answer;
    if (!answer && !quiet)
        fprintf(stderr, "tidegate: the server did not answer\n");
    else if (error && !quiet)
        fprintf(stderr, "tidegate: %s\n", error);
    json_decref(answer);
    return NULL;
}

/* -- reading and printing ---------------------------------------------------------- */

static const char *text(const json_t *o, const char *name)
{
    const char *value = json_string_value(json_object_get(o, name));
    return value ? value : "";
}

static long long number(const json_t *o, const char *name)
{
    return (long long)json_integer_value(json_object_get(o, name));
}

static double real(const json_t *o, const char *name)
{
    return json_number_value(json_object_get(o, name));
}

static double mib(const json_t *o, const char *name)
{
    return real(o, name) / (1 << 20);
}

static const char *plural(long long n)
{
    return n == 1 ? "" : "s";
}

static void print_list(const char *label, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        printf("%-11s %s\n", label, json_string_value(json_array_get(list, i)));
}

/* "3d 4h", "4h 12m", "12m 5s" */
static void print_uptime(long long s)
{
    if (s >= 86400)
        printf("up %lldd %lldh", s / 86400, s / 3600 % 24);
    else if (s >= 3600)
        printf("up %lldh %lldm", s / 3600, s / 60 % 60);
    else
        printf("up %lldm %llds", s / 60, s % 60);
}

static void print_worker(const json_t *w)
{
    long long connections = number(w, "connections"), requests = number(w, "requests");
    printf("%-12s%lld connection%s", text(w, "name"), connections, plural(connections));
    if (json_is_true(json_object_get(w, "stuck")))
        printf(", stuck: it does not answer\n");
    else
        printf(", %lld request%s\n", requests, plural(requests));
}

static void print_status(const json_t *a)
{
    const json_t *memory = json_object_get(a, "memory");
    const json_t *refused = json_object_get(a, "refused");
    const json_t *readonly = json_object_get(a, "readonly");
    const json_t *list, *one;
    size_t i;
    printf("tidegate %s, pid %lld, ", text(a, "version"), number(a, "pid"));
    print_uptime((long long)real(a, "uptime"));
    bool stopping = json_is_true(json_object_get(a, "stopping"));
    printf("%s\n", stopping ? ", stopping" : *text(a, "draining") ? ", draining" : "");
    if (readonly)
        printf("%-12ssince %s, %lld from before may still write\n", "read-only",
               text(readonly, "since"), number(readonly, "writers"));
    printf("%-12s%s\n", "script", text(a, "script"));
    if (refused)
        printf("%-12s%s at %s\n", "refused", text(refused, "error"),
               text(refused, "when"));
    print_list("listen", json_object_get(a, "listen"));
    print_list("store", json_object_get(a, "stores"));
    list = json_object_get(a, "generations");
    json_array_foreach(list, i, one)
    {
        long long requests = number(one, "requests");
        printf("%-12s%lld, loaded %s, %lld request%s, %.1f MiB of Lua\n", "generation",
               number(one, "number"), text(one, "loaded"), requests, plural(requests),
               mib(one, "memory"));
    }
    list = json_object_get(a, "workers");
    json_array_foreach(list, i, one)
    {
        print_worker(one);
    }
    printf("%-12s%.1f MiB resident, %.1f MiB in buffers (at most %.1f so far)\n",
           "memory", mib(memory, "resident"), mib(memory, "buffers"),
           mib(memory, "buffers_peak"));
}

static void print_task(const json_t *t)
{
    if (*text(t, "kind"))
        printf("%s%s%s%s%s\n", text(t, "kind"), *text(t, "name") ? " " : "",
               text(t, "name"), *text(t, "id") ? " of " : "", text(t, "id"));
    else
        printf("%s  %s %s\n", text(t, "id"), text(t, "method"), text(t, "path"));
    printf("    %s, since %.1f s", text(t, "worker"), real(t, "seconds"));
    if (*text(t, "user"))
        printf(", user %s", text(t, "user"));
    printf(", waits for %s since %.1f s\n", text(t, "wait"), real(t, "waits"));
    for (const char *line = text(t, "traceback"); *line;) {
        size_t n = strcspn(line, "\n");
        printf("    %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

static void print_tasks(const json_t *a)
{
    const json_t *tasks = json_object_get(a, "tasks");
    const json_t *background = json_object_get(a, "background");
    const json_t *stuck = json_object_get(a, "stuck");
    const json_t *one;
    size_t i;
    json_array_foreach(tasks, i, one)
    {
        print_task(one);
    }
    json_array_foreach(background, i, one)
    {
        print_task(one);
    }
    json_array_foreach(stuck, i, one)
    {
        printf("%s is stuck: it does not answer\n", json_string_value(one));
    }
    if (number(a, "more"))
        printf("and %lld more\n", number(a, "more"));
    if (!json_array_size(tasks) && !json_array_size(background) &&
        !json_array_size(stuck))
        printf("nothing is running\n");
}

static int show(const char *question, bool json, void (*print)(const json_t *answer))
{
    json_t *answer = ask(question, false);
    if (!answer)
        return 1;
    if (json) {
        json_dumpf(answer, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        print(answer);
    }
    json_decref(answer);
    return 0;
}

static void print_nothing(const json_t *a)
{
    (void)a;
}

int ask_log(const char *what, const char *level)
{
    char question[64];
    snprintf(question, sizeof question, "log %s%s%s\n", what, level ? " " : "",
             level ? level : "");
    return show(question, false, print_nothing);
}

static void print_reload(const json_t *a)
{
    printf("reloaded: generation %lld, in %.0f ms\n", number(a, "generation"),
           real(a, "seconds") * 1e3);
    print_list("needs a restart:", json_object_get(a, "restart"));
}

int ask_reload(void)
{
    return show("reload\n", false, print_reload);
}

int ask_status(bool json)
{
    return show("status\n", json, print_status);
}

int ask_tasks(bool json)
{
    return show("tasks\n", json, print_tasks);
}

/* -- switches ---------------------------------------------------------------------- */

static long long writers(const json_t *a)
{
    return number(json_object_get(a, "readonly"), "writers");
}

static long long total(const json_t *a, const char *name)
{
    const json_t *one, *list = json_object_get(a, "workers");
    long long n = 0;
    size_t i;
    json_array_foreach(list, i, one)
    {
        n += number(one, name);
    }
    return n;
}

int ask_readonly(bool on, bool wait)
{
    json_t *a = ask(on ? "readonly on\n" : "readonly off\n", false);
    while (a && on && wait && writers(a) > 0) {
        printf("%lld from before may still write\n", writers(a));
        fflush(stdout);
        json_decref(a);
        sleep(1);
        a = ask("status\n", false);
    }
    if (!a)
        return 1;
    if (!json_object_get(a, "readonly"))
        printf("not read-only\n");
    else
        printf("read-only, %lld from before may still write\n", writers(a));
    json_decref(a);
    return 0;
}

/* Until the server of that pid is gone; another one may have come to its place. */
static void await_end(json_t *a)
{
    long long pid = number(a, "pid");
    while (a && number(a, "pid") == pid) {
        long long connections = total(a, "connections"), requests = total(a, "requests");
        printf("draining: %lld connection%s, %lld request%s\n", connections,
               plural(connections), requests, plural(requests));
        fflush(stdout);
        json_decref(a);
        sleep(1);
        a = ask("status\n", true);
    }
    json_decref(a);
    printf("drained\n");
}

int ask_drain(unsigned delay_ms, bool wait)
{
    char question[32];
    snprintf(question, sizeof question, "drain %u\n", delay_ms);
    json_t *a = ask(question, false);
    if (!a)
        return 1;
    if (wait) {
        await_end(a);
        return 0;
    }
    printf("draining: %lld connections, %lld requests\n", total(a, "connections"),
           total(a, "requests"));
    json_decref(a);
    return 0;
}
