// SPDX-License-Identifier: Apache-2.0
//
// What loading again costs: CPU of a load that is new, of one that finds nothing changed, and of
// one after a commit that changes a file; and what grows.
//
//   tool_again CACHE ROOT TIMES CHANGE    CHANGE is a command that makes a commit; it gets the
//                                         number of the load.
//
// A line for each load, and for the poll before it: "load N ms CPU objects N changes N rss KB fds
// N". MIRROR=FROM=TO is a mirror. The first is new; of the others the odd ones come after CHANGE,
// the even ones after nothing.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/file.h"
#include "source/source.h"

static double cpu_ms(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static long rss_kb(void)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct err err = {0};
    if (!file_read("/proc/self/status", 1U << 20, &b, &err))
        return -1;
    const char *at = strstr(b.p, "VmRSS:");
    return at ? atol(at + 6) : -1;
}

static unsigned open_files(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

struct heard {
    bool is_over;
    size_t same, news, unread;
};

static void on_polled(void *ctx, const struct source_polled *p)
{
    struct heard *h = ctx;
    h->is_over = true;
    for (size_t i = 0; i < p->v.len; i++) {
        const struct source_seen *s = &p->v.v[i];
        h->same += s->news == SOURCE_SAME;
        h->news += s->news == SOURCE_NEWS;
        h->unread += s->news == SOURCE_UNREAD;
        if (s->news == SOURCE_UNREAD)
            printf("unread %s %s\n", s->url, s->problem.msg);
    }
}

static void poll_sources(struct source *s, struct loop *loop, int n)
{
    struct heard h = {0};
    double before = cpu_ms();
    if (!source_poll(s, NULL, on_polled, &h))
        return;
    while (!h.is_over && !loop_stopping(loop))
        loop_run_once(loop, 100);
    printf("poll %d ms %.1f same %zu news %zu unread %zu\n", n, cpu_ms() - before, h.same, h.news,
           h.unread);
}

static bool load(struct source *s, const char *root, int n, struct desired **now)
{
    struct err err = {0};
    struct source_changes c = {0};
    double before = cpu_ms();
    if (!source_load_again(s, root, now, NULL, &c, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return false;
    }
    double ms = cpu_ms() - before;
    printf("load %d ms %.1f objects %zu changes %zu rss %ld fds %u\n", n, ms, (*now)->objects.len,
           c.v.len, rss_kb(), open_files());
    source_changes_clear(&c);
    return true;
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    struct loop *loop = loop_new(NULL);
    char *mirror = getenv("MIRROR");
    char *eq = mirror ? strchr(mirror, '=') : NULL;
    if (eq)
        *eq = 0;
    struct source_mirror m = {mirror, eq ? eq + 1 : NULL};
    struct source_opts o = {
        .cache_dir = argv[1], .kube_version = "1.37.2", .mirrors = &m, .n_mirrors = eq != NULL};
    struct source *s = source_new(loop, &o);
    struct desired *d = NULL;
    int rc = 0;
    for (int i = 0; !rc && i < atoi(argv[3]); i++) {
        CLEANUP(str_freep) char *change = str_printf("%s %d", argv[4], i);
        if (i % 2 && system(change) != 0)
            rc = 1;
        if (!rc && i)
            poll_sources(s, loop, i);
        if (!rc && !load(s, argv[2], i, &d))
            rc = 1;
    }
    desired_free(d);
    source_free(s);
    loop_free(loop);
    return rc;
}
