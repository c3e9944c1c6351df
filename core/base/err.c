/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

struct err_row {
    const char *name;
    const char *text;
    int status;
};

static const struct err_row rows[] = {{"OK", "success", 200},
#define X(name, number, status, text) [number] = {#name, text, status},
                                      ERR_TABLE(X)
#undef X
};

static const struct err_row *row_of(int rc)
{
    int i = -4096 - rc;
    if (rc == 0)
        return &rows[0];
    if (rc < -4096 && (size_t)i < sizeof rows / sizeof rows[0])
        return &rows[i];
    return NULL;
}

const char *err_name(int rc)
{
    const struct err_row *row = row_of(rc);
    if (row)
        return row->name;
    const char *name = strerrorname_np(-rc);
    return name ? name : "UNKNOWN";
}

const char *err_text(int rc)
{
    const struct err_row *row = row_of(rc);
    if (row)
        return row->text;
    const char *text = strerrordesc_np(-rc);
    return text ? text : "unknown error";
}

int err_status(int rc)
{
    const struct err_row *row = row_of(rc);
    if (!row)
        row = row_of(err_from_errno(-rc));
    return row->status;
}

int err_from_errno(int error)
{
    switch (error) {
    case 0:
        return 0;
    case ENOENT:
        return E_NOT_FOUND;
    case EEXIST:
        return E_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
        return E_DENIED;
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
    case EINVAL:
        return E_INVALID;
    case ENOSPC:
    case EDQUOT:
        return E_NO_SPACE;
    case ENOTSUP:
    case ENOSYS:
        return E_UNSUPPORTED;
    default:
        return E_IO;
    }
}
