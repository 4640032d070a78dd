// SPDX-License-Identifier: Apache-2.0
//
// Private to the tables of commands and options: a bit for each command, and sets of them.
#ifndef CLI_TABLES_H
#define CLI_TABLES_H

#include "cli/cli.h"

#define BIT(n) (UINT64_C(1) << (n))

#define PLAN BIT(0)
#define BOOT BIT(1)
#define STATUS BIT(2)
#define WHY BIT(3)
#define DIFF BIT(4)
#define RENDER BIT(5)
#define HEALTH BIT(6)
#define VERSION BIT(7)
#define OTHER BIT(8) // completion, man
#define GROUP BIT(9) // runs nothing, has no option of its own
#define SNAP_INIT BIT(10)
#define SNAP_CREATE BIT(11)
#define SNAP_LIST BIT(12)
#define SNAP_SHOW BIT(13)
#define SNAP_VERIFY BIT(14)
#define SNAP_DIFF BIT(15)
#define SNAP_FORGET BIT(16)
#define SNAP_PRUNE BIT(17)
#define SNAP_COPY BIT(18)
#define SNAP_EXPORT BIT(19)
#define SNAP_IMPORT BIT(20)
#define KEY_INIT BIT(21)
#define KEY_ADD BIT(22)
#define KEY_REMOVE BIT(23)
#define KEY_LIST BIT(24)
#define KEY_TRUST BIT(25)
#define KEY_ROTATE BIT(26)
#define KEY_REVOKE BIT(27)
#define SNAP_JUDGE BIT(28)
#define RESTORE BIT(29)
#define DRILL BIT(30)
#define RECONCILE BIT(31)
#define CLUSTER_ADD BIT(32)
#define CLUSTER_LIST BIT(33)
#define CLUSTER_CHECK BIT(34)
#define CLUSTER_REMOVE BIT(35)
#define DOCTOR BIT(37)
#define CLUSTERS (CLUSTER_ADD | CLUSTER_LIST | CLUSTER_CHECK | CLUSTER_REMOVE)

// What people ask of the controller.
#define SYNC BIT(50)
#define REFRESH BIT(51)
#define ROLLBACK BIT(52)
#define HISTORY BIT(53)
#define SUSPEND BIT(54)
#define RESUME BIT(55)
#define FOLLOWED (SYNC | REFRESH | ROLLBACK)
#define ASKS (FOLLOWED | HISTORY | SUSPEND | RESUME)

#define LIVE (BOOT | STATUS | WHY | DIFF | PLAN | RECONCILE)
#define ROOTED (LIVE | RENDER)
#define SOURCED (ROOTED | SNAP_CREATE | DOCTOR) // read a root
#define RENDERS SOURCED                         // may ask a cluster what it serves
// Commands on a repository that is there.
#define KEY_SIGN BIT(40)
#define KEY_QUORUM BIT(41)
#define KEY_CHANGES (KEY_ADD | KEY_REMOVE | KEY_ROTATE | KEY_REVOKE | KEY_QUORUM)
#define KEYS (KEY_INIT | KEY_LIST | KEY_TRUST | KEY_SIGN | KEY_CHANGES)
#define SNAP_READS (SNAP_SHOW | SNAP_VERIFY | SNAP_DIFF | SNAP_COPY | SNAP_EXPORT)
#define SNAP_SIGNS (SNAP_CREATE | SNAP_FORGET | SNAP_PRUNE | SNAP_COPY | KEYS)
#define SNAP_ONE_CHAIN                                                                             \
    (DOCTOR | RESTORE | DRILL | SNAP_READS | SNAP_CREATE | SNAP_LIST | SNAP_FORGET | SNAP_PRUNE |  \
     SNAP_IMPORT | SNAP_JUDGE)
#define SNAPSHOTS (SNAP_INIT | SNAP_ONE_CHAIN | KEYS)
#define LOG_READS (SNAPSHOTS | BOOT)   // bootstrap: has another cluster taken this one's place?
#define STORES (LOG_READS | RECONCILE) // its --snapshot-to
#define OUTPUT (ROOTED | HEALTH | VERSION | SNAPSHOTS | ASKS | CLUSTERS)
#define ANY (~GROUP)

// How many single-letter changes lie between two words (Levenshtein); the first has n letters.
size_t word_distance(const char *a, size_t n, const char *b);

#endif
