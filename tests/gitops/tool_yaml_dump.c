// SPDX-License-Identifier: Apache-2.0
//
// What yaml_read makes of files, for comparison with kubectl's reader: names on standard input,
// one JSON line {"file", "docs", "error"} each on standard output. Duplicate keys and text after
// the root are warnings here, since kubectl takes both. With --strict they are errors.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "gitops/gitops.h"

#define MAX_FILE_BYTES (64U << 20)

static void put_string(struct buf *out, const char *s)
{
    json_t *v = json_string(s);
    if (!v)
        v = json_string("(not UTF-8)");
    canon_write(v, out);
    json_decref(v);
}

static void dump(const char *name, bool strict, struct buf *out)
{
    struct err err = {0};
    struct yaml_docs docs = {0};
    struct buf text CLEANUP(buf_clear) = {0};
    const struct yaml_opts o = {.name = name, .warn_only = !strict};
    bool ok = file_read(name, MAX_FILE_BYTES, &text, &err) &&
              yaml_read(text.p ? text.p : "", text.len, &o, &docs, &err);
    buf_str(out, "{\"file\":");
    put_string(out, name);
    buf_str(out, ",\"docs\":[");
    for (size_t i = 0; i < docs.docs.len; i++) {
        if (i)
            buf_char(out, ',');
        canon_write(docs.docs.v[i].value, out);
    }
    buf_char(out, ']');
    if (!ok) {
        buf_str(out, ",\"error\":");
        put_string(out, err.msg);
    }
    buf_str(out, "}\n");
    yaml_docs_clear(&docs);
    err_clear(&err);
}

int main(int argc, char **argv)
{
    const bool strict = argc > 1 && !strcmp(argv[1], "--strict");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) > 0) {
        line[strcspn(line, "\n")] = 0;
        struct buf out CLEANUP(buf_clear) = {0};
        dump(line, strict, &out);
        fwrite(out.p, 1, out.len, stdout);
    }
    free(line);
    return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
