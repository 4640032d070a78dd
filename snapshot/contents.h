// SPDX-License-Identifier: Apache-2.0
//
// What a snapshot holds, as one document (docs/output.md, snapshot-show): applications with their
// parents and sources, sources with their exact revisions, Git repositories, Secrets by name,
// versions. No content of an object, and nothing of a Secret but its name.
#ifndef SNAPSHOT_CONTENTS_H
#define SNAPSHOT_CONTENTS_H

#include "snapshot/reader.h"

MUST_CHECK bool contents_read(struct reader *r, json_t **out, struct err *err);

#endif
