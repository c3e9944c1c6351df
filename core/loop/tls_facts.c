/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/tls_context.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

static char *text_of(BIO *b, struct arena *a)
{
    char *p;
    long n = BIO_get_mem_data(b, &p);
    char *text = arena_copy(a, p, (size_t)n);
    (void)BIO_reset(b);
    return text;
}

/* OpenSSL's own words, "DNS:a.example"; what holds a NUL or a control character is not a
 * name. */
static void read_names(X509 *cert, BIO *scratch, struct arena *a, struct tls_facts *out)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int n = sk_GENERAL_NAME_num(all);
    out->names = arena_alloc(a, ((size_t)(n > 0 ? n : 0) + 1) * sizeof *out->names);
    for (int i = 0; i < n; i++) {
        const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);
        const ASN1_STRING *s =
            one->type == GEN_DNS || one->type == GEN_EMAIL || one->type == GEN_URI
                ? one->d.ia5
                : NULL;
        bool plain = one->type == GEN_IPADD || s;
        for (int k = 0; s && k < ASN1_STRING_length(s); k++)
            plain = plain && ASN1_STRING_get0_data(s)[k] >= 0x20;
        if (!plain)
            continue;
        GENERAL_NAME_print(scratch, (GENERAL_NAME *)one);
        out->names[out->n_names++] = text_of(scratch, a);
    }
    GENERAL_NAMES_free(all);
}

static void read_client(X509 *cert, struct arena *a, struct tls_facts *out)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    BIO *scratch = BIO_new(BIO_s_mem());
    out->has_client = true;
    X509_NAME_print_ex(scratch, X509_get_subject_name(cert), 0,
                       XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
    out->subject = text_of(scratch, a);
    read_names(cert, scratch, a, out);
    X509_digest(cert, EVP_sha256(), sum, &n);
    char *hex = arena_alloc(a, 2 * (size_t)n + 1);
    for (unsigned i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    out->fingerprint = hex;
    BIO_free(scratch);
}

const char *tls_version(const struct conn *c)
{
    return SSL_get_version(tls_object(c));
}

void tls_facts(const struct conn *c, struct arena *a, struct tls_facts *out)
{
    SSL *ssl = tls_object(c);
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    X509 *cert = SSL_get0_peer_certificate(ssl);
    *out = (struct tls_facts){
        .version = SSL_get_version(ssl),
        .cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl)),
        .name = name ? arena_copy(a, name, strlen(name)) : NULL,
    };
    if (cert)
        read_client(cert, a, out);
    ERR_clear_error();
}
