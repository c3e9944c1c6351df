/* SPDX-License-Identifier: Apache-2.0
 *
 * `tidegate history`: what the audit logs of a script say of a repository or a tag. Reads
 * files only, the moved ones too; memory is bounded whatever they hold.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdbool.h>

/* what: "REPO" or "REPO:TAG". Returns the exit code. */
int history(const char *script, const char *what, bool json);

#endif
