// SPDX-License-Identifier: Apache-2.0
//
// Regular expressions of a repository's rules. Patterns come from outside: their size and their
// repetitions are bounded, and back-references, look-around and other forms whose cost or meaning
// is not that of a POSIX extended expression match nothing.
#ifndef GITOPS_REGEX_H
#define GITOPS_REGEX_H

#include <stdbool.h>

// Does the pattern match anywhere in the text?
bool regex_match(const char *pattern, const char *text);

#endif
