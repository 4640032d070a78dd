// SPDX-License-Identifier: Apache-2.0
//
// A file system in memory that keeps after a power cut only what a disk owes: content that was
// synced, names whose folder was synced; of the rest any part, by the seed. Every call may also be
// made to fail with an errno.
#ifndef TESTS_SNAPSHOT_POWERCUT_H
#define TESTS_SNAPSHOT_POWERCUT_H

#include "snapshot/store_folder.h"

struct powercut;
struct powercut *powercut_new(uint64_t seed);
void powercut_free(struct powercut *p);
const struct folder_fs *powercut_fs(struct powercut *p); // lives as long as p

void powercut_set_clock(struct powercut *p, int64_t unix_ms); // 2026 began, if it was not set
// The power goes at the nth step from now (1: the next); every call after it fails with EIO.
void powercut_at(struct powercut *p, unsigned step);
// The nth step from now fails with errnum; the others are fine. 0: no fault.
void powercut_fail(struct powercut *p, unsigned step, int errnum);
unsigned powercut_steps(const struct powercut *p); // since the last of the three
// Power is back: what was owed is there, of the rest what the seed says.
void powercut_reboot(struct powercut *p);
bool powercut_is_off(const struct powercut *p);

#endif
