/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/ticket.h"

#include "base/mem.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct key {
    unsigned char name[16], cipher[32], mac[32];
    uint64_t made; /* 0: there is none */
};

struct tickets {
    atomic_size_t refs;
    pthread_mutex_t lock;
    struct key keys[TICKET_KEYS]; /* the newest first */
};

struct tickets *tickets_new(void)
{
    struct tickets *t = xalloc(sizeof *t);
    atomic_init(&t->refs, 1);
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

struct tickets *tickets_ref(struct tickets *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void tickets_unref(struct tickets *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1)
        return;
    pthread_mutex_destroy(&t->lock);
    OPENSSL_cleanse(t->keys, sizeof t->keys);
    free(t);
}

static bool is_known(const struct key *k, uint64_t now)
{
    return k->made && now - k->made < TICKET_KEYS * TICKET_TURN;
}

/* Under the lock. The newest key, a new one if its turn is over; NULL without randomness.
 */
static const struct key *current(struct tickets *t, uint64_t now)
{
    struct key fresh = {.made = now ? now : 1};
    if (t->keys[0].made && now - t->keys[0].made < TICKET_TURN)
        return &t->keys[0];
    if (RAND_bytes(fresh.name, sizeof fresh.name) != 1 ||
        RAND_priv_bytes(fresh.cipher, sizeof fresh.cipher) != 1 ||
        RAND_priv_bytes(fresh.mac, sizeof fresh.mac) != 1)
        return NULL;
    memmove(&t->keys[1], &t->keys[0], sizeof t->keys - sizeof t->keys[0]);
    t->keys[0] = fresh;
    return &t->keys[0];
}

static const struct key *find(struct tickets *t, uint64_t now, const void *name)
{
    for (size_t i = 0; i < TICKET_KEYS; i++)
        if (is_known(&t->keys[i], now) &&
            memcmp(t->keys[i].name, name, sizeof t->keys[i].name) == 0)
            return &t->keys[i];
    return NULL;
}

static bool prepare(const struct key *k, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                    EVP_MAC_CTX *mac, bool encrypting)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, (void *)k->mac, sizeof k->mac),
        OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"sha256", 0),
        OSSL_PARAM_END,
    };
    return EVP_CipherInit_ex2(cipher, EVP_aes_256_cbc(), k->cipher, iv, encrypting,
                              NULL) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

int tickets_use(struct tickets *t, uint64_t now, unsigned char name[16],
                unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                int encrypting)
{
    struct key key;
    bool old = false;
    pthread_mutex_lock(&t->lock);
    const struct key *k = encrypting ? current(t, now) : find(t, now, name);
    if (k) {
        key = *k;
        old = k != &t->keys[0] || now - k->made >= TICKET_TURN;
    }
    pthread_mutex_unlock(&t->lock);
    if (!k)
        return encrypting ? -1 : 0;
    if (encrypting) {
        memcpy(name, key.name, sizeof key.name);
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
            return -1;
    }
    bool good = prepare(&key, iv, cipher, mac, encrypting);
    OPENSSL_cleanse(&key, sizeof key);
    return !good ? -1 : old ? 2 : 1;
}
