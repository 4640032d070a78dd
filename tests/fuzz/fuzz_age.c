// SPDX-License-Identifier: Apache-2.0
//
// Age files and keys as text. What opens is sealed again and must open to the same; what does not
// open gives nothing out.
#include <stdlib.h>
#include <string.h>

#include "snapshot/age_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_OUT (1U << 20)

static void must(bool ok)
{
    if (!ok)
        abort();
}

static struct age_identity identity(void)
{
    struct age_identity id;
    const uint8_t raw[KEY_BYTES] = "a key that everybody may know 1";
    age_identity_from_raw(raw, &id);
    return id;
}

static void try_open(const uint8_t *data, size_t size)
{
    struct age_identities ids = {0};
    struct err err = {0};
    struct buf out CLEANUP(buf_clear) = {0};
    bool is_passphrase = false;
    struct age_keys keys = {.identities = &ids, .passphrase = "x", .max_log_n = 6};
    *vec_push(&ids.v) = identity();
    if (!age_open(&keys, data, size, MAX_OUT, &out, &err)) {
        must(out.len == 0 && (err.kind == ERR_CORRUPT || err.kind == ERR_DENIED));
        err_clear(&err);
    } else {
        must(age_is_passphrase(data, size, &is_passphrase, &err));
    }
    age_identities_clear(&ids);
}

// The payload of a file whose header is right.
static void try_payload(const uint8_t *data, size_t size)
{
    struct age_identity id = identity();
    uint8_t to[1][KEY_BYTES];
    uint8_t key[AGE_FILE_KEY_BYTES];
    struct err err = {0};
    struct age_header h;
    struct buf file CLEANUP(buf_clear) = {0};
    struct buf out CLEANUP(buf_clear) = {0};
    memcpy(to[0], id.public, KEY_BYTES);
    must(age_seal((const uint8_t(*)[KEY_BYTES])to, 1, data, size, &file, key, &err));
    must(age_open_file_key(key, file.p, file.len, size, &out, &err));
    must(out.len == size && (!size || !memcmp(out.p, data, size)));
    must(age_header_parse(file.p, file.len, &h, &err));
    file.len = h.len;
    buf_append(&file, data, size);
    buf_reset(&out);
    must(!age_open_file_key(key, file.p, file.len, MAX_OUT, &out, &err) && out.len == 0);
    err_clear(&err);
}

static void try_texts(const char *text, size_t size)
{
    struct age_identities ids = {0};
    struct err err = {0};
    uint8_t key[KEY_BYTES];
    if (age_identities_read(text, size, &ids, &err)) {
        char again[AGE_TEXT_CHARS + 1];
        age_identity_text(&ids.v.v[0], again);
        must(memmem(text, size, again, AGE_TEXT_CHARS) != NULL);
    }
    err_clear(&err);
    age_identities_clear(&ids);
    if (age_recipient_parse(text, key, &err)) {
        CLEANUP(str_freep) char *again = age_recipient_text(key);
        must(!strcmp(text, again));
    }
    err_clear(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(str_freep) char *text = mem_dup(data, size);
    try_open(data, size);
    try_payload(data, size);
    try_texts(text, size);
    return 0;
}
