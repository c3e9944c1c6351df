/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/privileges.h"

#include "base/base.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The set of rights becomes exactly that to ports below 1024. There is no function in the
 * C library for it; libcap would be a library for this one call. */
static int keep_low_ports(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    data[0].effective = data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
    return syscall(SYS_capset, &head, data) == 0 ? 0 : -errno;
}

/* A container may have been started without the right; then there is nothing to keep. */
static bool has_low_ports(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    return syscall(SYS_capget, &head, data) == 0 &&
           (data[0].permitted & 1u << CAP_NET_BIND_SERVICE);
}

static int become(const struct passwd *p)
{
    bool ports = has_low_ports();
    if (prctl(PR_SET_KEEPCAPS, ports, 0, 0, 0) != 0 ||
        initgroups(p->pw_name, p->pw_gid) != 0 ||
        setresgid(p->pw_gid, p->pw_gid, p->pw_gid) != 0 ||
        setresuid(p->pw_uid, p->pw_uid, p->pw_uid) != 0)
        return -errno;
    int rc = ports ? keep_low_ports() : 0;
    if (rc == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        rc = -errno;
    return rc;
}

int privileges_drop(const char *user, char **why)
{
    errno = 0;
    const struct passwd *p = getpwnam(user);
    if (!p) {
        *why = xasprintf("user: nobody is called \"%s\"%s%s", user, errno ? ": " : "",
                         errno ? strerror(errno) : "");
        return E_INVALID;
    }
    if (geteuid() == p->pw_uid && getuid() == p->pw_uid)
        return 0;
    int rc = geteuid() == 0 ? become(p) : -EPERM;
    if (rc)
        *why = xasprintf("user: cannot become \"%s\": %s", user,
                         rc == -EPERM ? "only root can" : err_text(rc));
    return rc;
}
