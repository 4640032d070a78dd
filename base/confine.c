// SPDX-License-Identifier: Apache-2.0
#include "base/confine.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"

// Files cannot be moved between folders under version 1.
#define MIN_VERSION 2
// Of versions 2 and 3; older headers lack them.
#define ACCESS_REFER (1ULL << 13)
#define ACCESS_TRUNCATE (1ULL << 14)

#define FILE_READ (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE)
#define READ (FILE_READ | LANDLOCK_ACCESS_FS_READ_DIR)
#define FILE_WRITE (LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)
#define ALL ((ACCESS_REFER << 1) - 1)

// Programs, their libraries, certificates, names of hosts and users.
static const char *const of_system[] = {
    "/bin",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/gai.conf",
    "/etc/gitconfig",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/pki",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssh/ssh_config",
    "/etc/ssh/ssh_config.d",
    "/etc/ssh/ssh_known_hosts",
    "/etc/ssl",
    "/gnu/store",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/opt",
    "/sbin",
    "/usr",
    "/var/lib/ca-certificates",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
};

static int version(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

bool confine_is_offered(void)
{
    return version() >= MIN_VERSION;
}

// What is not there can not be seen either.
static bool permit(int rules, const char *path, uint64_t access, uint64_t handled)
{
    CLEANUP(fd_closep) int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return true;
    if (!S_ISDIR(st.st_mode))
        access &= FILE_READ | FILE_WRITE;
    struct landlock_path_beneath_attr rule = {.allowed_access = access & handled, .parent_fd = fd};
    return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

static bool permit_path(int rules, const char *path, uint64_t handled)
{
    bool ok = true;
    while (ok && *path) {
        size_t n = strcspn(path, ":");
        CLEANUP(str_freep) char *dir = str_ndup(path, n);
        ok = *dir != '/' || !dir[1] || permit(rules, dir, READ, handled);
        path += n + (path[n] == ':');
    }
    return ok;
}

int confine_new(const struct confine *o)
{
    int v = version();
    uint64_t handled = v >= 3 ? ALL | ACCESS_TRUNCATE : ALL;
    struct landlock_ruleset_attr attr = {.handled_access_fs = handled};
    if (v < MIN_VERSION)
        return -1;
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (rules < 0)
        return -1;
    bool ok = permit(rules, "/dev/null", FILE_READ | FILE_WRITE, handled);
    for (size_t i = 0; ok && i < ARRAY_LEN(of_system); i++)
        ok = permit(rules, of_system[i], READ, handled);
    for (size_t i = 0; ok && o->reads && o->reads[i]; i++)
        ok = permit(rules, o->reads[i], READ, handled);
    ok = ok && (!o->path || permit_path(rules, o->path, handled)) &&
         (!o->writes || permit(rules, o->writes, handled, handled));
    if (ok)
        return rules;
    close(rules);
    return -1;
}

bool confine_enter(int rules)
{
    return syscall(SYS_landlock_restrict_self, rules, 0) == 0;
}
