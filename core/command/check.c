/* SPDX-License-Identifier: Apache-2.0
 *
 * `tidegate check`: the script is loaded as serving would load it, and what it declares
 * is printed. Online, its stores are opened and tried, too.
 */
#include "base/err.h"
#include "command/command.h"
#include "command/errand.h"
#include "http/front.h"
#include "lua/gate.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static int look(const char *script, struct gate_config *config, char **why)
{
    int rc = gate_look(script, config, why);
    for (size_t i = 0; rc == 0 && i < config->n_listen; i++)
        rc = print_listener(&config->listen[i], why);
    return rc;
}

static void print(const struct gate_config *config)
{
    for (size_t i = 0; i < config->n_stores; i++)
        printf("store   %s\n", config->stores[i]);
    for (size_t i = 0; i < config->n_routes; i++)
        printf("route   %s\n", config->routes[i]);
}

/* Each by itself, so that one that cannot begin hides no other. */
static int begin_stores(const struct gate_config *config)
{
    int code = 0;
    for (size_t i = 0; i < config->n_held; i++) {
        char *why = NULL;
        int rc = store_begin(config->held[i], &why);
        if (rc) {
            printf("online  %s  %s\n", config->held[i]->id, why ? why : err_text(rc));
            code = 1;
        }
        free(why);
    }
    return code;
}

static int try_stores(const char *script, const struct gate_config *config)
{
    int code = errands_start();
    if (code)
        return code;
    fflush(stdout);
    code = begin_stores(config);
    if (code == 0) {
        struct errand e = {.module = "tidegate.online", .script = script};
        code = errand_run(&e).code;
    }
    return code;
}

int check_script(char **arguments)
{
    struct gate_config config = {.workers = 0};
    char *why = NULL;
    int code = 0;
    bool online = arguments[1] != NULL;
    if (online && strcmp(arguments[1], "--online") != 0)
        return 2;
    if (look(arguments[0], &config, &why) != 0) {
        fprintf(stderr, "tidegate: %s\n", why);
        free(why);
        gate_config_fini(&config);
        return 1;
    }
    print(&config);
    if (online)
        code = try_stores(arguments[0], &config);
    gate_config_fini(&config);
    if (online)
        errands_stop();
    return code;
}
