// SPDX-License-Identifier: Apache-2.0
//
// The repository format's vectors: files of tests/snapshot/vectors, made from fixed random bytes.
// What is written today must be the same bytes; what was written then must be read for ever. With
// REGROW_WRITE_VECTORS=1 in the environment a test writes its vectors instead of complaining.
#ifndef TESTS_SNAPSHOT_VECTORS_H
#define TESTS_SNAPSHOT_VECTORS_H

#include "tests/test.h"

void vector_read(const char *name, struct buf *out);
void assert_vector(const char *name, const void *p, size_t len);

#endif
