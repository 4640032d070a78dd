// SPDX-License-Identifier: Apache-2.0
//
// A hub for tests: repositories whose applications go to its own cluster, to one called east and to
// one that is known by its server, https://west.example.com; read and written as snapshots.
#ifndef TESTS_SNAPSHOT_HUBKIT_H
#define TESTS_SNAPSHOT_HUBKIT_H

#include "base/loop.h"
#include "tests/snapshot/logkit.h"

struct hub_fixture {
    char *dir;
    struct repo repo;
    struct loop *loop;
    unsigned runs;
    struct entry entry; // of the newest
    struct strv warnings;
};

int hub_set_up(void **state); // a struct hub_fixture
int hub_tear_down(void **state);
// In its folder: root, apps and more.
void hub_shell(const struct hub_fixture *f, const char *script);
void hub_snapshot(struct hub_fixture *f); // reads all of it and writes a snapshot

#endif
