/* SPDX-License-Identifier: Apache-2.0
 *
 * The program: its subcommands, and the table of stores that are built in.
 * Exit codes: 0 done, 1 failed, 2 usage.
 */
#include "ask.h"
#include "backends/fs/fs.h"
#include "backends/mem/mem.h"
#include "base/base.h"
#include "lua/gate.h"
#include "serve.h"
#include "store/kinds.h"
#include "version.h"

#include <event2/event.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_DELAY_S 5 /* for a load balancer to notice; seconds */
#define DRAIN_DELAY_MAX_S 3600

struct command {
    const char *name;
    const char *arguments;
    const char *summary;
    int least, most; /* arguments */
    int (*run)(char **arguments);
};

static int run_serve(char **arguments)
{
    bool user = strcmp(arguments[0], "--user") == 0;
    if (user != (arguments[1] != NULL) || (user && !arguments[2])) {
        fprintf(stderr, "usage: tidegate serve [--user NAME] SCRIPT\n");
        return 2;
    }
    return serve(arguments[user ? 2 : 0], user ? arguments[1] : NULL);
}

/* With its certificates. */
static int print_listener(const struct front_options *o, char **why)
{
    struct front *front;
    char *certificate;
    int rc = front_new(o, NULL, &front, why);
    if (rc)
        return rc;
    printf("listen  %s\n", o->address);
    for (size_t i = 0; o->tls && i < o->tls->n_pairs; i++) {
        certificate = tls_context_describe(front->tls, i);
        printf("tls     %s: %s\n", o->tls->pairs[i].cert, certificate);
        free(certificate);
    }
    front_unref(front);
    return 0;
}

static int run_check(char **arguments)
{
    struct gate_config config = {.workers = 0};
    char *why = NULL;
    int rc = gate_look(arguments[0], &config, &why);
    for (size_t i = 0; rc == 0 && i < config.n_listen; i++)
        rc = print_listener(&config.listen[i], &why);
    if (rc) {
        fprintf(stderr, "tidegate: %s\n", why);
        free(why);
        gate_config_fini(&config);
        return 1;
    }
    for (size_t i = 0; i < config.n_stores; i++)
        printf("store   %s\n", config.stores[i]);
    for (size_t i = 0; i < config.n_routes; i++)
        printf("route   %s\n", config.routes[i]);
    gate_config_fini(&config);
    return 0;
}

static int run_reload(char **arguments)
{
    (void)arguments;
    return ask_reload();
}

static int run_status(char **arguments)
{
    return ask_status(arguments[0] != NULL);
}

static int run_tasks(char **arguments)
{
    return ask_tasks(arguments[0] != NULL);
}

static int usage_of(const char *name);

static int run_readonly(char **arguments)
{
    bool on = strcmp(arguments[0], "on") == 0;
    bool wait = arguments[1] && strcmp(arguments[1], "--wait") == 0;
    if ((!on && strcmp(arguments[0], "off") != 0) || (arguments[1] && !wait))
        return usage_of("readonly");
    return ask_readonly(on, wait);
}

static int run_drain(char **arguments)
{
    uint64_t delay_s = DRAIN_DELAY_S;
    bool wait = false;
    for (char **a = arguments; *a; a++) {
        if (strcmp(*a, "--wait") == 0)
            wait = true;
        else if (strcmp(*a, "--delay") != 0 || !*++a ||
                 span_u64(span_of(*a), &delay_s) != 0 || delay_s > DRAIN_DELAY_MAX_S)
            return usage_of("drain");
    }
    return ask_drain((unsigned)delay_s * 1000, wait);
}

static int run_version(char **arguments)
{
    (void)arguments;
    printf("tidegate %s\n", VERSION);
    printf("%s, libevent %s, %s, jansson %s\n", gate_luajit_version(),
           event_get_version(), OpenSSL_version(OPENSSL_VERSION), jansson_version_str());
    return 0;
}

static int run_help(char **arguments);

static const struct command commands[] = {
    {"serve", "[--user NAME] SCRIPT",
     "run; SIGHUP reloads, SIGTERM drains, a second one stops", 1, 3, run_serve},
    {"check", "SCRIPT", "load the script and print listeners, stores and routes", 1, 1,
     run_check},
    {"reload", "", "have the running server load its script anew", 0, 0, run_reload},
    {"status", "[--json]", "print what the running server is and has", 0, 1, run_status},
    {"tasks", "[--json]", "print its requests, and what each waits for", 0, 1, run_tasks},
    {"readonly", "on|off [--wait]", "refuse changes, or take them again", 1, 2,
     run_readonly},
    {"drain", "[--delay S] [--wait]", "say that it is not ready, then end it politely", 0,
     3, run_drain},
    {"version", "", "print the versions of the program and its libraries", 0, 0,
     run_version},
    {"help", "", "print this", 0, 0, run_help},
};

#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void usage(FILE *out)
{
    fprintf(out, "usage: tidegate COMMAND\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-8s %-20s %s\n", commands[i].name, commands[i].arguments,
                commands[i].summary);
    fprintf(
        out,
        "\nEvery example reads TIDEGATE_LISTEN and TIDEGATE_DATA from the environment.\n"
        "The running server is found by TIDEGATE_CONTROL, its socket, or else in\n"
        "RUNTIME_DIRECTORY or TIDEGATE_DATA (./data), as the server itself did.\n"
        "Exit codes: 0 done, 1 failed, 2 usage.\n");
}

static int run_help(char **arguments)
{
    (void)arguments;
    usage(stdout);
    return 0;
}

static const struct command *find(const char *name)
{
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0)
        name = "version";
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    return NULL;
}

static int usage_of(const char *name)
{
    const struct command *command = find(name);
    fprintf(stderr, "usage: tidegate %s %s\n", command->name, command->arguments);
    return 2;
}

/* A command that takes --json takes nothing else. */
static bool fits(const struct command *command, int n, char **arguments)
{
    bool option = strcmp(command->arguments, "[--json]") == 0;
    return n >= command->least && n <= command->most &&
           !(option && n == 1 && strcmp(arguments[0], "--json") != 0);
}

int main(int argc, char **argv)
{
    const struct command *command = argc > 1 ? find(argv[1]) : NULL;
    if (!command) {
        if (argc > 1)
            fprintf(stderr, "tidegate: no command \"%s\"\n", argv[1]);
        usage(stderr);
        return 2;
    }
    if (!fits(command, argc - 2, argv + 2))
        return usage_of(command->name);
    kinds_add(&fs_kind);
    kinds_add(&mem_kind);
    return command->run(argv + 2);
}
