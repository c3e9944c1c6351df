/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of session tickets (RFC 5077, RFC 8446 4.6.1), with which a client resumes a TLS
 * session without the work of a handshake. They are made in this process and never leave
 * it: another gateway, or the same one after a restart, cannot read the tickets and makes
 * a whole handshake. A key encrypts for TICKET_TURN and is known for TICKET_KEYS turns.
 *
 * Counted; shared by all threads. The lock is a leaf.
 */
#ifndef LOOP_TICKET_H
#define LOOP_TICKET_H

#include <openssl/ssl.h>
#include <stdint.h>

#define TICKET_TURN (UINT64_C(3600) * 1000000000) /* ns */
#define TICKET_KEYS 3

struct tickets;

struct tickets *tickets_new(void);
struct tickets *tickets_ref(struct tickets *t);
/* Accepts NULL. */
void tickets_unref(struct tickets *t);

/* For SSL_CTX_set_tlsext_ticket_key_evp_cb. now: clock_now(). Its result: 1 go on, 2 go
 * on and give the client a new ticket, 0 unknown key, -1 failure. */
int tickets_use(struct tickets *t, uint64_t now, unsigned char name[16],
                unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                int encrypting);

#endif
