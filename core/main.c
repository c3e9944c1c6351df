/* SPDX-License-Identifier: Apache-2.0
 *
 * The program: its subcommands, and the table of stores that are built in.
 * Exit codes: 0 done, 1 failed, 2 usage.
 */
#include "backends/fs/fs.h"
#include "backends/mem/mem.h"
#include "base/base.h"
#include "base/log.h"
#include "base/version.h"
#include "command/ask.h"
#include "command/command.h"
#include "lua/gate.h"
#include "serve/serve.h"
#include "store/kinds.h"

#include <event2/event.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USAGE 2         /* the exit code of a wrong use, which main then explains */
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
    if (user != (arguments[1] != NULL) || (user && !arguments[2]))
        return USAGE;
    return serve(arguments[user ? 2 : 0], user ? arguments[1] : NULL);
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

static int run_readonly(char **arguments)
{
    bool on = strcmp(arguments[0], "on") == 0;
    bool wait = arguments[1] && strcmp(arguments[1], "--wait") == 0;
    if ((!on && strcmp(arguments[0], "off") != 0) || (arguments[1] && !wait))
        return USAGE;
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
            return USAGE;
    }
    return ask_drain((unsigned)delay_s * 1000, wait);
}

static int run_log(char **arguments)
{
    enum log_level level;
    const char *what = arguments[0], *name = arguments[1];
    bool sets =
        strcmp(what, "level") == 0 && name && log_level_parse(span_of(name), &level) == 0;
    if (sets || (strcmp(what, "reopen") == 0 && !name))
        return ask_log(what, name);
    return USAGE;
}

static int run_history(char **arguments)
{
    bool json = arguments[2] && strcmp(arguments[2], "--json") == 0;
    if (arguments[2] && !json)
        return USAGE;
    return history(arguments[0], arguments[1], json);
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
    {"check", "SCRIPT [--online]",
     "load the script, print listeners, stores and routes; try the stores", 1, 2,
     check_script},
    {"explain", "SCRIPT METHOD PATH ...", "say what would become of a request", 3, 64,
     explain_request},
    {"spec", "SCRIPT DIR ...", "run the specs of a policy, DIR/*_spec.lua", 2, 3,
     spec_policies},
    {"verify", "SCRIPT ...", "read all that is stored and name what is damaged", 1, 8,
     verify_stores},
    {"usage", "SCRIPT [--by repo|folder] [--json]", "print what each repository holds", 1,
     4, tell_usage},
    {"trash", "SCRIPT [--repo REPO] [--json]", "print what can be brought back", 1, 4,
     list_trash},
    {"restore", "SCRIPT REPO:TAG|REPO@DIGEST ...", "bring it back", 2, 6,
     restore_deleted},
    {"reload", "", "have the running server load its script anew", 0, 0, run_reload},
    {"status", "[--json]", "print what the running server is and has", 0, 1, run_status},
    {"tasks", "[--json]", "print its requests, and what each waits for", 0, 1, run_tasks},
    {"readonly", "on|off [--wait]", "refuse changes, or take them again", 1, 2,
     run_readonly},
    {"drain", "[--delay S] [--wait]", "say that it is not ready, then end it politely", 0,
     3, run_drain},
    {"history", "SCRIPT REPO[:TAG] [--json]", "print who changed it, from the audit log",
     2, 3, run_history},
    {"log", "reopen | level LEVEL", "open its log files anew, or set what is logged", 1,
     2, run_log},
    {"hash-password", "[USER] [--cost N]",
     "read a password, print its line for a file of users", 0, 3, hash_password},
    {"version", "", "print the versions of the program and its libraries", 0, 0,
     run_version},
    {"help", "", "print this", 0, 0, run_help},
};

#define N_COMMANDS (sizeof commands / sizeof commands[0])

static int wider(int width, const char *text)
{
    int n = (int)strlen(text);
    return n > width ? n : width;
}

/* The completion for shells and the manual page are made of this: two spaces between
 * columns. */
static void usage(FILE *out)
{
    int name = 0, arguments = 0;
    for (size_t i = 0; i < N_COMMANDS; i++) {
        name = wider(name, commands[i].name);
        arguments = wider(arguments, commands[i].arguments);
    }
    fprintf(out, "usage: tidegate COMMAND\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-*s  %-*s  %s\n", name, commands[i].name, arguments,
                commands[i].arguments, commands[i].summary);
    fprintf(
        out,
        "\nEvery example reads TIDEGATE_LISTEN and TIDEGATE_DATA from the environment.\n"
        "The running server is found by TIDEGATE_CONTROL, its socket, or else in\n"
        "RUNTIME_DIRECTORY or TIDEGATE_DATA (./data), as the server itself did.\n"
        "explain takes --user NAME, --group NAME, --header 'Name: value', --body FILE\n"
        "and --json; spec takes --real-stores, which lets the specs write to them;\n"
        "verify takes --rate SIZE, bytes per second, --from KEY and --json;\n"
        "restore takes --at TIME, as trash prints it, and --force.\n"
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
        return USAGE;
    }
    kinds_add(&fs_kind);
    kinds_add(&mem_kind);
    int code = fits(command, argc - 2, argv + 2) ? command->run(argv + 2) : USAGE;
    if (code == USAGE)
        fprintf(stderr, "usage: tidegate %s %s\n", command->name, command->arguments);
    return code;
}
