// SPDX-License-Identifier: Apache-2.0
#include "snapshot/programs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"

#define MAX_VERSION_BYTES 4096
#define MAX_NOTE_BYTES 16384
#define TIMEOUT_MS 10000

// "path device inode size changed", owned. NULL: what answers may be another program than the file
// that is started. A script asks others, and a link to a program of another name is one that
// chooses by its name, as version managers do.
static char *identity_of(const char *path, const char *name)
{
    char magic[4] = "";
    struct stat st;
    char *real = realpath(path, NULL);
    if (!real)
        return NULL;
    int fd CLEANUP(fd_closep) = open(real, O_RDONLY | O_CLOEXEC);
    char *out = NULL;
    if (fd >= 0 && fstat(fd, &st) == 0 && read(fd, magic, sizeof(magic)) == sizeof(magic) &&
        !memcmp(magic, "\177ELF", sizeof(magic)) && str_starts(path_base(real), name))
        out = str_printf("%s %llu %llu %lld %lld.%09ld", real, (unsigned long long)st.st_dev,
                         (unsigned long long)st.st_ino, (long long)st.st_size,
                         (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
    free(real);
    return out;
}

static char *ask(const char *const *argv)
{
    struct proc_result r = {0};
    struct err err = {0};
    char *out = NULL;
    struct proc_opts o = {.argv = argv,
                          .max_out_bytes = MAX_VERSION_BYTES,
                          .timeout_ms = TIMEOUT_MS,
                          .max_data_bytes = 4ULL << 30, // Go reserves far more than it uses
                          .no_network = true};
    if (proc_run(&o, &r, &err) && r.exit_code == 0 && r.out.p)
        out = str_ndup(r.out.p, strcspn(r.out.p, "\r\n"));
    proc_result_clear(&r);
    err_clear(&err); // a version that is not known
    return out;
}

// The note is "identity\nversion\n".
static char *noted(const char *note, const char *identity)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    bool ok = file_read(note, MAX_NOTE_BYTES, &b, &err);
    err_clear(&err);
    size_t n = strlen(identity);
    if (!ok || b.len < n + 2 || memcmp(b.p, identity, n) != 0 || b.p[n] != '\n')
        return NULL;
    const char *version = b.p + n + 1;
    size_t len = strcspn(version, "\n");
    return len && version[len] == '\n' ? str_ndup(version, len) : NULL;
}

char *program_version(const char *const *argv, const char *cache)
{
    CLEANUP(str_freep) char *path = proc_find(argv[0]);
    CLEANUP(str_freep) char *identity = path && cache ? identity_of(path, argv[0]) : NULL;
    if (!path)
        return NULL;
    if (!identity)
        return ask(argv);
    CLEANUP(str_freep) char *name = str_printf("version-%s", argv[0]);
    CLEANUP(str_freep) char *note = path_join(cache, name);
    char *version = noted(note, identity);
    if (version)
        return version;
    version = ask(argv);
    struct err err = {0};
    CLEANUP(str_freep) char *text = str_printf("%s\n%s\n", identity, version ? version : "");
    if (version && *version && !file_replace(note, text, strlen(text), 0600, &err))
        err_clear(&err); // it is asked again
    return version;
}
