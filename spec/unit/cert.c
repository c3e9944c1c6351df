/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/cert.h"

#include "spec/unit/unit.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

void cert_make(X509 **cert, EVP_PKEY **key)
{
    static const struct {
        int nid;
        const char *value;
    } extensions[] = {{NID_basic_constraints, "critical,CA:TRUE"},
                      {NID_subject_alt_name, "IP:127.0.0.1"}};
    EVP_PKEY *k = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    EXPECT(k && x);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, k);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"spec", -1, -1,
                               0);
    X509_set_issuer_name(x, name);
    for (size_t i = 0; i < 2; i++) {
        X509_EXTENSION *e =
            X509V3_EXT_conf_nid(NULL, NULL, extensions[i].nid, extensions[i].value);
        EXPECT(e && X509_add_ext(x, e, -1));
        X509_EXTENSION_free(e);
    }
    EXPECT(X509_sign(x, k, EVP_sha256()));
    *cert = x;
    *key = k;
}

void cert_write(X509 *cert, EVP_PKEY *key, const char *path)
{
    FILE *f = fopen(path, "we");
    EXPECT(f && (!cert || PEM_write_X509(f, cert) == 1));
    EXPECT(!key || PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
    EXPECT_EQ(fclose(f), 0);
}
