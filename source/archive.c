// SPDX-License-Identifier: Apache-2.0
#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "source/chart.h"

#define MAX_FILE_BYTES (64U << 20)
#define MAX_UNPACKED_BYTES (512LL << 20)
#define MAX_ENTRIES 50000

static struct archive *open_archive(const char *path, struct err *err)
{
    struct archive *a = archive_read_new();
    archive_read_support_filter_gzip(a);
    archive_read_support_format_tar(a);
    if (archive_read_open_filename(a, path, 65536) == ARCHIVE_OK)
        return a;
    err_set(err, ERR_CORRUPT, "%s: %s", path_base(path), archive_error_string(a));
    archive_read_free(a);
    return NULL;
}

// The next one; *e is NULL behind the last. What breaks off is never taken for the end: objects
// that are missing would be deleted. A warning is of what a header says besides, or of a name that
// is not UTF-8, which then comes as it is: the entry is there.
static bool next_entry(struct archive *a, struct archive_entry **e, struct err *err)
{
    int rc = archive_read_next_header(a, e);
    if (rc == ARCHIVE_EOF)
        *e = NULL;
    // What is passed over is unpacked as well, and a megabyte may be a thousand.
    else if (rc >= ARCHIVE_WARN &&
             archive_filter_bytes(a, 0) + archive_entry_size(*e) > MAX_UNPACKED_BYTES)
        return err_set(err, ERR_INVALID, "the archive unpacks to more than 512 MiB");
    return rc == ARCHIVE_EOF || rc == ARCHIVE_OK || rc == ARCHIVE_WARN ||
           err_set(err, ERR_CORRUPT, "the archive is damaged: %s", archive_error_string(a));
}

static bool read_entry(struct archive *a, size_t max_bytes, struct buf *out, struct err *err)
{
    char chunk[65536];
    la_ssize_t n;
    while ((n = archive_read_data(a, chunk, sizeof(chunk))) > 0) {
        if (out->len + (size_t)n > max_bytes)
            return err_set(err, ERR_INVALID, "a file in the archive is larger than %zu bytes",
                           max_bytes);
        buf_append(out, chunk, (size_t)n);
    }
    if (n < 0)
        return err_set(err, ERR_CORRUPT, "%s", archive_error_string(a));
    if (!out->p)
        buf_append(out, "", 0);
    return true;
}

bool chart_read(const char *archive, const char *path, size_t max_bytes, struct buf *out,
                struct err *err)
{
    struct archive *a = open_archive(archive, err);
    struct archive_entry *e = NULL;
    bool found = false;
    bool ok = a != NULL;
    while (ok && !found && (ok = next_entry(a, &e, err)) && e) {
        const char *name = archive_entry_pathname(e);
        const char *slash = name ? strchr(name, '/') : NULL; // the chart's own folder
        found = slash && !strcmp(slash + 1, path);
        if (found)
            ok = read_entry(a, max_bytes, out, err);
    }
    if (a)
        archive_read_free(a);
    return ok && (found || err_set(err, ERR_NOT_FOUND, "%s is not in the chart", path));
}

bool chart_asks(const char *archive, struct asks *out, struct err *err)
{
    struct archive *a = open_archive(archive, err);
    struct archive_entry *e = NULL;
    bool ok = a != NULL;
    while (ok && (ok = next_entry(a, &e, err)) && e) {
        const char *name = archive_entry_pathname(e);
        struct buf b CLEANUP(buf_clear) = {0};
        if (!name || archive_entry_filetype(e) != AE_IFREG)
            continue;
        out->any |= str_ends(name, ".tgz");
        bool text = str_ends(name, ".yaml") || str_ends(name, ".yml") || str_ends(name, ".tpl");
        if (!text || (!strstr(name, "/templates/") && !str_ends(name, "/values.yaml")))
            continue;
        ok = read_entry(a, MAX_FILE_BYTES, &b, err);
        if (ok)
            asks_find(out, b.p, b.len);
    }
    if (a)
        archive_read_free(a);
    return ok;
}

bool archive_unpack(const char *archive, const char *dir, struct err *err)
{
    struct archive *a = open_archive(archive, err);
    struct archive_entry *e = NULL;
    unsigned entries = 0;
    bool ok = a != NULL;
    while (ok && (ok = next_entry(a, &e, err)) && e) {
        const char *name = archive_entry_pathname(e);
        CLEANUP(str_freep) char *clean = NULL;
        struct buf b CLEANUP(buf_clear) = {0};
        if (archive_entry_hardlink(e)) { // as an empty file it would be another chart
            ok = err_set(err, ERR_INVALID, "the archive holds a hard link: %.200s",
                         name ? name : "?");
            break;
        }
        if (archive_entry_filetype(e) != AE_IFREG)
            continue;
        if (!name || !path_clean(name, &clean) || ++entries > MAX_ENTRIES) {
            ok = err_set(err, ERR_INVALID, "the archive holds a path that leaves it, or too many");
            break;
        }
        CLEANUP(str_freep) char *to = path_join(dir, clean);
        CLEANUP(str_freep) char *folder = str_ndup(to, (size_t)(strrchr(to, '/') - to));
        ok = read_entry(a, MAX_FILE_BYTES, &b, err) && dir_make(folder, 0700, err) &&
             file_put(to, b.p, b.len, 0600, err);
    }
    if (a)
        archive_read_free(a);
    return ok;
}
