// SPDX-License-Identifier: Apache-2.0
//
// Credentials and what slots hold. The secrets' forms are hard to guess, so that the input may say
// @IDENTITY, @RAW and @HEX for them. What is taken is written and read again as the same; nothing
// of a secret is in a message.
#include <stdlib.h>
#include <string.h>

#include "snapshot/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEX "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2"

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void fill_in(const uint8_t *data, size_t size, struct buf *out)
{
    const struct age_identity *id;
    struct age_identity own;
    char text[AGE_TEXT_CHARS + 1];
    const uint8_t secret[KEY_BYTES] = {1, 2, 3};
    age_identity_from_raw(secret, &own);
    id = &own;
    age_identity_text(id, text);
    CLEANUP(str_freep) char *raw = hex_encode(secret, sizeof(secret));
    const char *const words[][2] = {{"@IDENTITY", text}, {"@RAW", raw}, {"@HEX", HEX}};
    for (size_t i = 0; i < size; i++) {
        const char *with = NULL;
        for (size_t w = 0; w < ARRAY_LEN(words) && !with; w++) {
            size_t n = strlen(words[w][0]);
            if (size - i >= n && !memcmp(data + i, words[w][0], n)) {
                with = words[w][1];
                i += n - 1;
            }
        }
        if (with)
            buf_str(out, with);
        else
            buf_char(out, (char)data[i]);
    }
}

static void try_credential(const struct buf *text)
{
    struct credential c;
    struct credential again;
    struct err err = {0};
    struct buf out CLEANUP(buf_wipe) = {0};
    struct buf second CLEANUP(buf_wipe) = {0};
    if (!credential_parse(text->p ? text->p : "", text->len, &c, &err)) {
        must(err.kind == ERR_INVALID && !strstr(err.msg, "5ec2e7"));
        err_clear(&err);
        return;
    }
    credential_write(&c, &out);
    must(credential_parse(out.p, out.len, &again, &err));
    credential_write(&again, &second);
    must(out.len == second.len && !memcmp(out.p, second.p, out.len));
    credential_clear(&again);
    credential_clear(&c);
}

static void try_slot(const struct buf *text)
{
    struct slot_content c;
    struct slot_content again;
    struct err err = {0};
    struct buf out CLEANUP(buf_wipe) = {0};
    if (!slot_parse(text->p ? text->p : "", text->len, &c, &err)) {
        must(err.kind == ERR_CORRUPT);
        err_clear(&err);
        return;
    }
    slot_text(&c, &out);
    must(slot_parse(out.p, out.len, &again, &err) && !memcmp(&c, &again, sizeof(c)));
    slot_content_wipe(&again);
    slot_content_wipe(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf text CLEANUP(buf_wipe) = {0};
    fill_in(data, size, &text);
    try_credential(&text);
    try_slot(&text);
    return 0;
}
