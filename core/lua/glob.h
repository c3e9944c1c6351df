/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns for names with slashes. '*' stands for any bytes but '/', '**' for any bytes,
 * and "**" with a slash behind it, at the start or behind a slash, also for nothing; '?'
 * for one byte but '/'; "{a,b*,}" for one of these, nested as one likes; '\' takes the
 * next byte as it is. The pattern fits the whole text or not at all.
 *
 * Time is pattern times text, whatever they hold: all ways through the pattern are
 * followed at once, byte by byte of the text. Pure; nothing is allocated.
 */
#ifndef LUA_GLOB_H
#define LUA_GLOB_H

#include "base/span.h"

#define GLOB_MAX 256   /* bytes of a pattern */
#define GLOB_DEPTH 8   /* of braces in braces */
#define GLOB_TEXT 4096 /* bytes of a text */

/* 1 if it fits, 0 if not, or E_INVALID and *why, static, for what is no pattern. */
int glob_match(struct span pattern, struct span text, const char **why);

#endif
