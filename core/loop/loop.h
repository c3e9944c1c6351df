/* SPDX-License-Identifier: Apache-2.0
 *
 * loop: threads, readiness and time. Workers with an event base each, the job pool for
 * whatever blocks, connections, and disk.c, through which every file mutation passes.
 * Rests on base, on libevent's core and OpenSSL; knows no HTTP, no store and no Lua.
 *
 *   worker.h    a thread with an event base, a run queue and a mailbox
 *   job.h       the pool that may block, in lanes
 *   timer.h     deadlines
 *   conn.h      a socket: readiness, bytes, deadlines
 *   tls.h       the same with TLS: certificates and what lies behind conn.h
 *   ticket.h    keys with which TLS sessions are resumed
 *   party.h     whose connections, requests and bytes are counted; meter.h, by what
 *   pace.h      what a connection's bytes cost whom
 *   acceptor.h  listening sockets on the main thread
 *   disk.h      the one seam for changes to files
 *
 * Threads: main (acceptors, signals), workers, pool threads. An object belongs to one
 * worker for life and is touched by that thread alone; others talk to it by worker_post.
 * The only locks are leaves: a worker's mailbox, the pool's queue, a shard of the
 * parties. No lock is held across a callback.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "loop/job.h"
#include "loop/timer.h"
#include "loop/worker.h"

#endif
