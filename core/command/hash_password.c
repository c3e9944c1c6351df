/* SPDX-License-Identifier: Apache-2.0 */
#include "command/command.h"

#include "base/base.h"
#include "crypto/password.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define USER_MAX 255
#define LINE_MAX_N (PASSWORD_MAX + 1) /* so that a longer one is seen to be longer */

/* -- the terminal ------------------------------------------------------------------ */

static struct termios as_it_was;

/* Who leaves by Ctrl-C gets the echo back. */
static void on_signal(int number)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &as_it_was);
    signal(number, SIG_DFL);
    raise(number);
}

static void echo_off(void)
{
    static const int leaving[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < sizeof leaving / sizeof leaving[0]; i++)
        signal(leaving[i], on_signal);
    struct termios quiet = as_it_was;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
}

/* The bytes of a line without its end, at most LINE_MAX_N. Not by stdio, which would keep
 * them. -1 with errno when nothing can be read. */
static ssize_t read_line(char *line)
{
    ssize_t n = 0;
    for (char c; n < LINE_MAX_N; n++) {
        ssize_t got = TEMP_FAILURE_RETRY(read(STDIN_FILENO, &c, 1));
        if (got < 0)
            return -1;
        if (got == 0 || c == '\n')
            break;
        line[n] = c;
    }
    return n;
}

static ssize_t prompt(const char *text, char *line)
{
    fprintf(stderr, "%s", text);
    ssize_t n = read_line(line);
    fprintf(stderr, "\n");
    return n;
}

/* Typed twice: what cannot be seen cannot be checked. */
static ssize_t ask_twice(char *line)
{
    char again[LINE_MAX_N];
    echo_off();
    ssize_t n = prompt("password: ", line), m = n < 0 ? n : prompt("again: ", again);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &as_it_was);
    bool same = n == m && n >= 0 && memcmp(line, again, (size_t)n) == 0;
    explicit_bzero(again, sizeof again);
    if (same || n < 0 || m < 0)
        return m < 0 ? m : n;
    fprintf(stderr, "tidegate: the two are not the same\n");
    return -2;
}

/* -- the command ------------------------------------------------------------------- */

static const char *wrong_user(const char *user)
{
    size_t n = strlen(user);
    if (n == 0 || n > USER_MAX)
        return "a user's name has 1 to 255 bytes";
    if (user[0] == '#')
        return "a user's name cannot begin with #: the line would be a comment";
    for (size_t i = 0; i < n; i++)
        if (user[i] == ':' || (unsigned char)user[i] <= ' ' || user[i] == 0x7f)
            return "a user's name holds no colon, blank or control character";
    return NULL;
}

static const char *wrong_password(int rc)
{
    if (rc == E_TOO_LARGE)
        return "bcrypt looks at 72 bytes only; take a shorter password";
    if (rc == E_INVALID)
        return "a password is not empty and holds no NUL";
    return err_text(rc);
}

/* Returns whether the arguments make sense. */
static bool parse(char **arguments, const char **user, unsigned *cost)
{
    for (char **a = arguments; *a; a++) {
        uint64_t n = 0;
        if (strcmp(*a, "--cost") == 0 && a[1]) {
            if (span_u64(span_of(*++a), &n) != 0 || n < PASSWORD_COST_MIN ||
                n > PASSWORD_COST_MAX)
                return false;
            *cost = (unsigned)n;
        } else if (!*user && (*a)[0] != '-') {
            *user = *a;
        } else {
            return false;
        }
    }
    return true;
}

static int print_hash(struct span password, const char *user, unsigned cost)
{
    char hash[PASSWORD_HASH_SIZE];
    int rc = password_hash(password, cost, hash);
    if (rc != 0) {
        fprintf(stderr, "tidegate: %s\n", wrong_password(rc));
        return 1;
    }
    printf("%s%s%s\n", user ? user : "", user ? ":" : "", hash);
    return fflush(stdout) == 0 ? 0 : 1;
}

int hash_password(char **arguments)
{
    const char *user = NULL;
    unsigned cost = PASSWORD_COST;
    char line[LINE_MAX_N];
    if (!parse(arguments, &user, &cost)) {
        fprintf(stderr,
                "usage: tidegate hash-password [USER] [--cost N]  (N: %d to %d)\n",
                PASSWORD_COST_MIN, PASSWORD_COST_MAX);
        return 2;
    }
    const char *wrong = user ? wrong_user(user) : NULL;
    if (wrong) {
        fprintf(stderr, "tidegate: %s\n", wrong);
        return 2;
    }
    bool terminal = tcgetattr(STDIN_FILENO, &as_it_was) == 0;
    ssize_t n = terminal ? ask_twice(line) : read_line(line);
    if (n == -1)
        fprintf(stderr, "tidegate: no password can be read: %s\n", strerror(errno));
    int rc = n < 0 ? 1 : print_hash((struct span){line, (size_t)n}, user, cost);
    explicit_bzero(line, sizeof line);
    return rc;
}
