/* SPDX-License-Identifier: Apache-2.0
 *
 * stream: how bytes move. A pipe takes chunks from a source and gives each to a sink and
 * to its observers at the same time; nobody copies, and the buffer is free when all have
 * finished. Rests on base, crypto and loop; knows no HTTP, no store and no Lua.
 *
 *   source.h   where bytes come from; transforms, which are sources over a source
 *   sink.h     where bytes go; observers are sinks that must agree before it finishes
 *   pipe.h     the pump between them
 *   bufpool.h  the process-wide pool of chunk buffers
 *   file.h     a source and a sink over an open file
 *   memory.h   a source and a sink over bytes in memory
 *   hash.h     the observer that computes a digest
 *
 * Everything here lives on one worker; only job functions run elsewhere, on what was lent
 * to them.
 */
#ifndef STREAM_STREAM_H
#define STREAM_STREAM_H

#include "stream/pipe.h"
#include "stream/sink.h"
#include "stream/source.h"

#endif
