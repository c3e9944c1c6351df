/* SPDX-License-Identifier: Apache-2.0
 *
 * What the metrics say of the process as a whole, looked at when somebody asks.
 */
#ifndef SERVE_METERS_H
#define SERVE_METERS_H

/* Once, before serving. */
void meters_start(void);

#endif
