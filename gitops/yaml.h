// SPDX-License-Identifier: Apache-2.0
//
// YAML as kubectl reads it (spec c-libraries section 2): split into chunks at "---" lines before
// parsing, YAML 1.1 scalars, merge keys where they stand, JSON passes through. Stricter in one
// rule: a duplicate explicit key, or text after the root node, is an error (INVALID) unless the
// options lower it to a warning. Bounded: document 16 MiB, depth 512, alias expansion by Go's
// rule, 10,000 anchors per document.
#ifndef GITOPS_YAML_H
#define GITOPS_YAML_H

#include <jansson.h>

#include "base/err.h"
#include "base/vec.h"

struct yaml_opts {
    const char *name; // for messages: "apps/root.yaml"
    bool warn_only;   // duplicates and trailing text become warnings (rendered output)
    bool no_merge;    // a merge key is an error, also for who takes more for one than we do
    size_t max_bytes; // of the whole text; 0: 64 MiB
};

struct yaml_doc {
    json_t *value;  // owned; never JSON null (empty documents are skipped)
    unsigned index; // 0-based among the documents of the text, empty ones not counted
    unsigned line;  // 1-based line where the document's content begins
};

struct yaml_docs {
    VEC(struct yaml_doc) docs;
    struct strv warnings; // "name:12: key "a" is set twice; the last one counts"
};

// Messages name file and line: "apps/root.yaml:12: ...". On failure out holds nothing.
MUST_CHECK bool yaml_read(const char *text, size_t len, const struct yaml_opts *o,
                          struct yaml_docs *out, struct err *err);
void yaml_docs_clear(struct yaml_docs *d);

// Writes one value as block YAML that yaml_read gives back unchanged; map keys sorted, except
// apiVersion, kind, metadata, which come first at the top. No leading "---".
void yaml_write(const json_t *v, struct buf *out);

#endif
