// SPDX-License-Identifier: Apache-2.0
//
// Where a passphrase comes from: a file, an environment variable, or the person at the terminal.
// Never from the command line, where everybody on the machine can read it.
#ifndef CLI_PASS_H
#define CLI_PASS_H

#include "cli/cli.h"

struct pass_source {
    const char *file; // NULL: none
    const char *env;  // name of a variable
    const char *ask;  // what the prompt says; NULL: nobody is asked
    bool is_new;      // asked for twice
};
// Appends it to out (wipe it: buf_wipe). *found false: there is none to be had.
MUST_CHECK bool pass_get(const struct pass_source *from, struct buf *out, bool *found,
                         struct err *err);

#endif
