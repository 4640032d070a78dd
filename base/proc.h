// SPDX-License-Identifier: Apache-2.0
//
// Child processes: no shell, a built environment, bounds on time, memory, CPU and output, the
// whole process group killed at the end. Started only from the loop's thread (the death signal
// follows the thread that forked). See spec c-libraries section 8.
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include "base/confine.h"
#include "base/loop.h"
#include "base/str.h"

struct proc;

struct proc_opts {
    const char *const *argv; // NULL-terminated; argv[0] is looked up in PATH of `env` or ours
    const char *const *env;  // NULL-terminated "K=V"; NULL: an empty environment
    const char *cwd;         // NULL: ours
    const void *in;          // standard input bytes; lent until done
    size_t in_len;
    int in_fd;            // > 0: standard input is this file, where it stands; not to be closed
    size_t max_out_bytes; // 0: 64 MiB; more output kills the child
    // Output as it comes, instead of in the result; false kills the child. Its ctx is `out_ctx`.
    bool (*on_out)(void *ctx, const char *p, size_t len);
    void *out_ctx;
    int64_t timeout_ms;      // 0: 60 s
    uint64_t max_data_bytes; // RLIMIT_DATA; 0: 1 GiB
    bool no_network;         // a network namespace of its own where the kernel allows it
    // What it sees of the file system, with itself and the PATH of its `env`, where the kernel can
    // see to it and it is no script (proc_is_script); lent until proc_start returns. NULL: all.
    const struct confine *confine;
};

struct proc_result {
    int exit_code; // 128 + signal when killed by one
    struct buf out;
    struct buf err_text; // at most 64 KiB of standard error, the end of it
    int64_t ms;
};
void proc_result_clear(struct proc_result *r);

// `err` is set when the child could not be run, timed out (TIMEOUT) or wrote too much (INVALID); a
// non-zero exit code is not an error here. Both are lent for the call.
typedef void (*proc_done_fn)(void *ctx, struct proc_result *r, struct err *err);

// Starts a child; `done` is called exactly once from the loop, never before this returns.
struct proc *proc_start(struct loop *l, const struct proc_opts *o, proc_done_fn done, void *ctx);
// Kills the child's group; `done` still comes (with CANCELLED).
void proc_cancel(struct proc *p);

// Kills the groups of all children that run, in a signal handler too: for who ends at once.
void proc_kill_all(void);

// Runs one child to its end on a loop of its own.
MUST_CHECK bool proc_run(const struct proc_opts *o, struct proc_result *r, struct err *err);

// The full path of a program found in PATH, owned; NULL when there is none.
char *proc_find(const char *name);
// A script, such as one that chooses between versions, needs nobody knows what.
bool proc_is_script(const char *path);

#endif
