// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: which version of helm or kustomize is on this machine. Asking costs the
// start of a Go program, so what one answered is noted in the cache, with the file that answered.
#ifndef SNAPSHOT_PROGRAMS_H
#define SNAPSHOT_PROGRAMS_H

// The first line of what it says, owned; NULL: it is not there, or says nothing. cache: a folder,
// or NULL. argv[0] is the program's name.
char *program_version(const char *const *argv, const char *cache);

#endif
