// SPDX-License-Identifier: Apache-2.0
//
// Private to the YAML reader: one chunk of a text, which libyaml turns into events and yaml_chunk.c
// into a tree.
#ifndef GITOPS_YAML_CHUNK_H
#define GITOPS_YAML_CHUNK_H

#include "gitops/yaml.h"

#define YAML_MAX_DOC_BYTES (16U << 20)

struct yaml_chunk {
    const char *text;
    size_t len;
    unsigned first_line; // of the chunk in its text, 0-based
    const struct yaml_opts *o;
    struct strv *warnings;
};

// Fails at a 0-based line of the chunk. Always false.
bool yaml_chunk_fail(const struct yaml_chunk *c, size_t line, const char *what, struct err *err);
// The same, or a warning where the options say so. True: go on.
bool yaml_chunk_complain(const struct yaml_chunk *c, size_t line, const char *what,
                         struct err *err);
// Reads the chunk's only document; *out stays NULL when the chunk is empty. *line is 0-based in the
// chunk.
MUST_CHECK bool yaml_chunk_read(const struct yaml_chunk *c, json_t **out, unsigned *line,
                                struct err *err);

#endif
