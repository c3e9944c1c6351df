/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/tls_context.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/span.h"
#include "loop/ticket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SESSION_S 7200            /* how long a session can be resumed */
#define READ_AHEAD (64 * 1024)    /* bytes asked of the socket at once */
#define FILE_MAX ((off_t)1 << 20) /* bytes of a PEM file */

/* Forward secrecy and authenticated encryption, nothing else; TLS 1.3 has no others. */
#define CIPHERS_12 "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"

struct tls_context {
    atomic_size_t refs;
    SSL_CTX **list; /* one for each certificate */
    size_t n;
    struct tickets *tickets;
    BIO_METHOD *wire;
    bool kernel;
};

/* -- faults ------------------------------------------------------------------------ */

/* The first of OpenSSL's faults is the cause, the others follow from it. */
static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_error());
    return text ? text : "not usable";
}

static bool is_fault(int lib, int code)
{
    unsigned long e = ERR_peek_error();
    return ERR_GET_LIB(e) == lib && ERR_GET_REASON(e) == code;
}

static int fault(char **why, const char *file, const char *text)
{
    *why = xasprintf("%s: %s", file, text);
    ERR_clear_error();
    return E_INVALID;
}

/* OpenSSL's own words for a file that cannot be opened are poor. */
static int look_at(const char *file, char **why)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fault(why, file, strerror(errno));
    int rc = fstat(fd, &st) != 0 ? -errno : 0;
    close(fd);
    if (rc == 0 && !S_ISREG(st.st_mode))
        return fault(why, file, "not a file");
    if (rc == 0 && st.st_size > FILE_MAX)
        return fault(why, file, "larger than 1 MiB");
    return rc ? fault(why, file, strerror(-rc)) : 0;
}

/* -- certificates ------------------------------------------------------------------ */

/* Nobody sits at a terminal to be asked. */
static int no_password(char *buf, int n, int writing, void *arg)
{
    (void)buf;
    (void)n;
    (void)writing;
    (void)arg;
    return -1;
}

static int use_key(SSL_CTX *ctx, const struct tls_pair *pair, char **why)
{
    X509 *cert = SSL_CTX_get0_certificate(ctx);
    const char *file = pair->key ? pair->key : pair->cert;
    int rc = look_at(file, why);
    if (rc)
        return rc;
    bool used = SSL_CTX_use_PrivateKey_file(ctx, file, SSL_FILETYPE_PEM) == 1;
    /* a key of another kind than the certificate's is no fault to OpenSSL */
    if (used && X509_check_private_key(cert, SSL_CTX_get0_privatekey(ctx)) == 1)
        return 0;
    if (used || is_fault(ERR_LIB_X509, X509_R_KEY_VALUES_MISMATCH)) {
        *why = xasprintf("%s: the key does not belong to the certificate in %s", file,
                         pair->cert);
        ERR_clear_error();
        return E_INVALID;
    }
    if (is_fault(ERR_LIB_PEM, PEM_R_BAD_PASSWORD_READ) ||
        is_fault(ERR_LIB_CRYPTO, ERR_R_INTERRUPTED_OR_CANCELLED))
        return fault(why, file, "the key is encrypted, and nobody is there to be asked");
    if (is_fault(ERR_LIB_PEM, PEM_R_NO_START_LINE) ||
        is_fault(ERR_LIB_OSSL_DECODER, ERR_R_UNSUPPORTED))
        return fault(why, file, "holds no private key in PEM form");
    return fault(why, file, reason());
}

static int use_pair(SSL_CTX *ctx, const struct tls_pair *pair, char **why)
{
    int rc = look_at(pair->cert, why);
    if (rc)
        return rc;
    if (SSL_CTX_use_certificate_chain_file(ctx, pair->cert) != 1) {
        bool none = is_fault(ERR_LIB_PEM, PEM_R_NO_START_LINE);
        return fault(why, pair->cert,
                     none ? "holds no certificate in PEM form" : reason());
    }
    rc = use_key(ctx, pair, why);
    if (rc)
        return rc;
    /* an old certificate may be better than none, which is for people to decide */
    if (X509_cmp_current_time(X509_get0_notAfter(SSL_CTX_get0_certificate(ctx))) < 0)
        LOG_FIELDS(LOG_WARN, "the certificate has expired",
                   {"file", span_of(pair->cert)});
    return 0;
}

/* A session is resumed only where the same clients are let in. */
static void name_sessions(SSL_CTX *ctx, const struct tls_options *o)
{
    unsigned char id[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    BIO *file = o->client ? BIO_new_file(o->client, "rb") : NULL;
    char piece[4096];
    EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    EVP_DigestUpdate(md, o->require ? "1" : "0", 1);
    for (int got; file && (got = BIO_read(file, piece, sizeof piece)) > 0;)
        EVP_DigestUpdate(md, piece, (size_t)got);
    EVP_DigestFinal_ex(md, id, &n);
    SSL_CTX_set_session_id_context(ctx, id, n);
    BIO_free(file);
    EVP_MD_CTX_free(md);
}

static int ask_clients(SSL_CTX *ctx, const struct tls_options *o, char **why)
{
    int rc = look_at(o->client, why);
    if (rc)
        return rc;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(o->client);
    if (!names || SSL_CTX_load_verify_file(ctx, o->client) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return fault(why, o->client,
                     !names || is_fault(ERR_LIB_PEM, PEM_R_NO_START_LINE)
                         ? "holds no certificate in PEM form"
                         : reason());
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    SSL_CTX_set_verify(
        ctx, SSL_VERIFY_PEER | (o->require ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    return 0;
}

/* -- what OpenSSL asks ------------------------------------------------------------- */

static bool name_fits(const char *pattern, const char *name)
{
    if (strncmp(pattern, "*.", 2) != 0)
        return strcasecmp(pattern, name) == 0;
    const char *dot = strchr(name, '.'); /* the star is one whole label */
    return dot && dot != name && strcasecmp(pattern + 1, dot) == 0;
}

/* 2: for just this name; 1: by a wildcard; 0: not. */
static int fits(SSL_CTX *ctx, const char *name)
{
    int best = 0;
    GENERAL_NAMES *names =
        X509_get_ext_d2i(SSL_CTX_get0_certificate(ctx), NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *one = sk_GENERAL_NAME_value(names, i);
        if (one->type != GEN_DNS)
            continue;
        const char *text = (const char *)ASN1_STRING_get0_data(one->d.dNSName);
        if ((size_t)ASN1_STRING_length(one->d.dNSName) != strlen(text) ||
            !name_fits(text, name))
            continue;
        int how = text[0] == '*' ? 1 : 2;
        best = how > best ? how : best;
    }
    GENERAL_NAMES_free(names);
    return best;
}

static int choose(SSL *ssl, int *alert, void *arg)
{
    struct tls_context *x = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    size_t found = 0;
    int best = 0;
    (void)alert;
    for (size_t i = 0; name && x->n > 1 && best < 2 && i < x->n; i++) {
        int how = fits(x->list[i], name);
        if (how <= best)
            continue;
        best = how;
        found = i;
    }
    if (found)
        SSL_set_SSL_CTX(ssl, x->list[found]);
    return SSL_TLSEXT_ERR_OK;
}

static int agree(SSL *ssl, const unsigned char **out, unsigned char *n,
                 const unsigned char *offered, unsigned offered_n, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, n, ours, sizeof ours - 1, offered, offered_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypting)
{
    struct tickets *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    return tickets_use(t, clock_now(), name, iv, cipher, mac, encrypting);
}

/* -- contexts ---------------------------------------------------------------------- */

/* A kernel without it says so only when asked to use it. */
static bool kernel_has_tls(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = server >= 0 && client >= 0 &&
               bind(server, (struct sockaddr *)&at, sizeof at) == 0 &&
               listen(server, 1) == 0 &&
               getsockname(server, (struct sockaddr *)&at, &n) == 0 &&
               connect(client, (struct sockaddr *)&at, sizeof at) == 0 &&
               setsockopt(client, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") == 0;
    if (server >= 0)
        close(server);
    if (client >= 0)
        close(client);
    return has;
}

static void set_up(SSL_CTX *ctx, struct tls_context *x)
{
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(ctx, CIPHERS_12);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA);
    if (x->kernel)
        SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS);
    /* an idle connection keeps no buffers */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, SESSION_S);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    SSL_CTX_set_tlsext_servername_callback(ctx, choose);
    SSL_CTX_set_tlsext_servername_arg(ctx, x);
    SSL_CTX_set_alpn_select_cb(ctx, agree, NULL);
    if (x->tickets) {
        SSL_CTX_set_app_data(ctx, x->tickets);
        SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
    } else {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    }
}

static int add(struct tls_context *x, const struct tls_options *o, size_t i, char **why)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return fault(why, o->pairs[i].cert, reason());
    x->list[x->n++] = ctx;
    set_up(ctx, x);
    int rc = use_pair(ctx, &o->pairs[i], why);
    if (rc == 0 && o->client)
        rc = ask_clients(ctx, o, why);
    if (rc == 0)
        name_sessions(ctx, o);
    return rc;
}

int tls_context_new(const struct tls_options *o, struct tickets *tickets,
                    struct tls_context **out, char **why)
{
    struct tls_context *x = xalloc(sizeof *x);
    int rc = 0;
    ERR_clear_error();
    atomic_init(&x->refs, 1);
    x->tickets = tickets ? tickets_ref(tickets) : NULL;
    x->kernel = o->kernel && kernel_has_tls();
    x->wire = tls_wire();
    x->list = xalloc((o->n_pairs + 1) * sizeof *x->list);
    for (size_t i = 0; rc == 0 && i < o->n_pairs; i++)
        rc = add(x, o, i, why);
    if (rc == 0)
        *out = x;
    else
        tls_context_unref(x);
    return rc;
}

struct tls_context *tls_context_ref(struct tls_context *x)
{
    atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
    return x;
}

void tls_context_unref(struct tls_context *x)
{
    if (!x || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < x->n; i++)
        SSL_CTX_free(x->list[i]);
    free(x->list);
    BIO_meth_free(x->wire);
    tickets_unref(x->tickets);
    free(x);
}

SSL *tls_context_open(struct tls_context *x, bool *kernel)
{
    *kernel = x->kernel;
    return SSL_new(x->list[0]);
}

void tls_context_force(struct tls_context *x, bool kernel)
{
    x->kernel = kernel;
}

const BIO_METHOD *tls_context_wire(const struct tls_context *x)
{
    return x->wire;
}

char *tls_context_describe(const struct tls_context *x, size_t i)
{
    if (i >= x->n)
        return NULL;
    X509 *cert = SSL_CTX_get0_certificate(x->list[i]);
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    BIO *text = BIO_new(BIO_s_mem());
    struct tm until = {0};
    char *bytes;
    for (int k = 0; k < sk_GENERAL_NAME_num(names); k++) {
        if (k)
            BIO_puts(text, ", ");
        GENERAL_NAME_print(text, sk_GENERAL_NAME_value(names, k));
    }
    ASN1_TIME_to_tm(X509_get0_notAfter(cert), &until);
    BIO_printf(text, " until %04d-%02d-%02d", until.tm_year + 1900, until.tm_mon + 1,
               until.tm_mday);
    long n = BIO_get_mem_data(text, &bytes);
    char *out = xmemdup(bytes, (size_t)n);
    BIO_free(text);
    GENERAL_NAMES_free(names);
    return out;
}
