// SPDX-License-Identifier: Apache-2.0
//
// What a child sees of the file system: programs, libraries and certificates of the system, what it
// is named, and one folder to write in. By Landlock, where the kernel has it (5.19 and later).
#ifndef BASE_CONFINE_H
#define BASE_CONFINE_H

#include <stdbool.h>

struct confine {
    const char *const *reads; // absolute, NULL-terminated; what is not there is left out
    const char *writes;       // a folder; NULL: nowhere
    const char *path;         // folders of programs, as PATH has them; NULL: none
};

bool confine_is_offered(void);
// The rules, as a descriptor that is closed at exec; -1: the kernel has none, or refuses these.
int confine_new(const struct confine *o);
// In the child: from here on nothing else can be opened. Async-signal-safe.
bool confine_enter(int rules);

#endif
