// SPDX-License-Identifier: Apache-2.0
//
// timed FILE COMMAND...: runs COMMAND and writes {"ms": its time, "cpu_ms": what it and its
// children burned, "peak_kb": the largest of them, "exit": its code} to FILE.
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

static long ms_of(struct timeval t)
{
    return (long)(t.tv_sec * 1000 + t.tv_usec / 1000);
}

int main(int argc, char **argv)
{
    int status = 0;
    struct rusage u;
    if (argc < 3) {
        fprintf(stderr, "usage: timed FILE COMMAND...\n");
        return 2;
    }
    int64_t start = clock_mono_ms();
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || getrusage(RUSAGE_CHILDREN, &u) != 0) {
        perror("timed");
        return 1;
    }
    int64_t ms = clock_mono_ms() - start;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    FILE *f = fopen(argv[1], "w");
    if (!f) {
        perror(argv[1]);
        return 1;
    }
    fprintf(f, "{\"ms\": %lld, \"cpu_ms\": %ld, \"peak_kb\": %ld, \"exit\": %d}\n", (long long)ms,
            ms_of(u.ru_utime) + ms_of(u.ru_stime), u.ru_maxrss, code);
    fclose(f);
    return code;
}
