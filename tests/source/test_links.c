// SPDX-License-Identifier: Apache-2.0
//
// Links are followed as the kernel follows them: in trees of random links every path is asked of
// both, the kernel with RESOLVE_BENEATH, which has the same rule.
#include "source/links.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/test.h"

#define TREES 60
#define LINKS 40

static unsigned seed = 7;

static unsigned dice(unsigned n)
{
    seed = seed * 1103515245U + 12345U;
    return (seed >> 16) % n;
}

// A path of names that are mostly there, or links, or neither.
static char *any_path(bool is_target)
{
    static const char *const names[] = {"a", "b", "c", "l0", "l1", "l2", "l3", "none"};
    struct buf b = {0};
    unsigned n = 1 + dice(is_target ? 5 : 3);
    for (unsigned i = 0; i < n; i++) {
        bool up = is_target && dice(3) == 0;
        buf_printf(&b, "%s%s",
                   i                        ? "/"
                   : is_target && !dice(20) ? "/"
                                            : "",
                   up ? ".." : names[dice(ARRAY_LEN(names))]);
    }
    return buf_take(&b);
}

static void make_tree(const char *top)
{
    static const char *const folders[] = {"a/a/a", "a/b", "b/a/c", "b/c", "c"};
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        CLEANUP(str_freep) char *dir = path_join(top, folders[i]);
        assert_true(dir_make(dir, 0700, &err));
    }
    for (unsigned i = 0; i < LINKS; i++) {
        CLEANUP(str_freep) char *target = any_path(true);
        CLEANUP(str_freep)
        char *at = str_printf("%s/%s/l%u", top, folders[dice(ARRAY_LEN(folders))], dice(4));
        (void)!symlink(target, at); // one may be there
    }
}

static bool read_link(void *ctx, const char *path, bool *is_link, struct buf *text, struct err *err)
{
    char target[LINK_MAX_BYTES];
    CLEANUP(str_freep) char *full = path_join(ctx, path);
    ssize_t n = readlink(full, target, sizeof(target));
    (void)err;
    *is_link = n >= 0;
    if (n > 0)
        buf_append(text, target, (size_t)n);
    return true;
}

// What the kernel says: the path inside the tree, or NULL and errno.
static char *ask_kernel(int top, const char *root, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
    int fd CLEANUP(fd_closep) = -1;
    char text[4096];
    // EAGAIN: something else on this machine was renamed meanwhile.
    for (int tries = 0; fd < 0 && tries < 1000; tries++) {
        fd = (int)syscall(SYS_openat2, top, path, &how, sizeof(how));
        if (fd < 0 && errno != EAGAIN)
            break;
    }
    if (fd < 0)
        return NULL;
    CLEANUP(str_freep) char *self = str_printf("/proc/self/fd/%d", fd);
    ssize_t n = readlink(self, text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = 0;
    assert_true(str_starts(text, root));
    return str_dup(text + strlen(root) + (text[strlen(root)] == '/'));
}

static void compare(int top, const char *root, const char *path, unsigned counts[3])
{
    const struct links l = {"folder", read_link, (void *)root};
    struct err err = {0};
    CLEANUP(str_freep) char *ours = NULL;
    errno = 0;
    CLEANUP(str_freep) char *theirs = ask_kernel(top, root, path);
    int errnum = errno;
    bool stays = links_stay(&l, path, &err);
    err_clear(&err);
    if (theirs) {
        if (!stays || !links_resolve(&l, path, &ours, &err) || strcmp(ours, theirs) != 0)
            fail_msg("%s: the kernel says %s, we %s", path, theirs, ours ? ours : "no");
        counts[0]++;
    } else if (errnum == EXDEV) {
        if (stays || links_resolve(&l, path, &ours, &err))
            fail_msg("%s leaves %s, and we did not see it", path, root);
        assert_non_null(strstr(err.msg, "is a link that leaves the folder"));
        counts[1]++;
    } else if (errnum == ELOOP) {
        assert_true(stays && !links_resolve(&l, path, &ours, &err));
        counts[2]++;
    } else {
        assert_int_equal(errnum, ENOENT); // where it went no further, we may see that it leaves
    }
    err_clear(&err);
}

static void as_the_kernel(void **s)
{
    (void)s;
    unsigned counts[3] = {0};
    for (int t = 0; t < TREES; t++) {
        CLEANUP(dir_temp_cleanup) char *dir = NULL;
        struct err err = {0};
        assert_true(dir_make_temp("regrow-links", &dir, &err));
        CLEANUP(str_freep) char *root = realpath(dir, NULL);
        make_tree(root);
        int top CLEANUP(fd_closep) = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct open_how how = {.flags = O_PATH, .resolve = RESOLVE_BENEATH};
        if (syscall(SYS_openat2, top, "a", &how, sizeof(how)) < 0 && errno != ENOENT)
            skip(); // a kernel, or a sandbox, without openat2
        for (int i = 0; i < 400; i++) {
            CLEANUP(str_freep) char *path = any_path(false);
            compare(top, root, path, counts);
        }
    }
    // All of it was met, and often.
    for (int i = 0; i < 3; i++)
        if (counts[i] < 100)
            fail_msg("%u inside, %u out, %u in circles", counts[0], counts[1], counts[2]);
}

// What takes longer than any path is a trap, and no link is trusted for that.
static bool grow(void *ctx, const char *path, bool *is_link, struct buf *text, struct err *err)
{
    (void)path, (void)err;
    *is_link = true;
    for (int i = 0; i < 2000; i++)
        buf_str(text, ctx);
    return true;
}

static void traps(void **s)
{
    (void)s;
    static const char *const names[] = {"./", "x/"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct links l = {"folder", grow, (void *)names[i]};
        struct err err = {0};
        assert_int_equal(links_stay(&l, "a", &err), false);
        assert_int_equal(err.kind, ERR_INVALID);
        err_clear(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_the_kernel), cmocka_unit_test(traps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
