// SPDX-License-Identifier: Apache-2.0
//
// Age v1 files in memory (age-encryption.org/v1): X25519 and scrypt
// recipients, binary or armored in, binary out. `age` opens what is sealed here and the reverse.
// Sizes are bounded before anything is allocated: header 8 KiB, 64 stanzas, scrypt log N 1..22.
// A file opens whole or not at all: nothing that was not authenticated to its end is given out.
#ifndef SNAPSHOT_AGE_H
#define SNAPSHOT_AGE_H

#include "base/err.h"
#include "base/vec.h"
#include "snapshot/crypto.h"

struct age_identity {
    uint8_t secret[KEY_BYTES];
    uint8_t public[KEY_BYTES];
};

void age_identity_new(struct age_identity *out);
void age_identity_from_raw(const uint8_t secret[KEY_BYTES], struct age_identity *out);
// "AGE-SECRET-KEY-1…". Malformed: INVALID, saying so of plug-ins and hybrids; never the text
// itself.
MUST_CHECK bool age_identity_parse(const char *text, struct age_identity *out, struct err *err);
#define AGE_TEXT_CHARS 74 // of an identity; a recipient is shorter
// text takes AGE_TEXT_CHARS + 1; wipe it.
void age_identity_text(const struct age_identity *id, char text[AGE_TEXT_CHARS + 1]);
char *age_recipient_text(const uint8_t public[KEY_BYTES]); // "age1…", owned
// INVALID also for a key of low order, to which nothing can be sealed.
MUST_CHECK bool age_recipient_parse(const char *text, uint8_t public[KEY_BYTES], struct err *err);
// Every identity of an identity file: one a line, '#' comments. At least one, at most 100.
struct age_identities {
    VEC(struct age_identity) v;
};
MUST_CHECK bool age_identities_read(const char *text, size_t len, struct age_identities *out,
                                    struct err *err);
void age_identities_clear(struct age_identities *ids); // wiped

#define AGE_FILE_KEY_BYTES 16
#define AGE_MAX_STANZAS 64
#define AGE_MAX_HEADER_BYTES 8192
#define AGE_MAX_LOG_N SCRYPT_MAX_LOG_N
#define AGE_DEFAULT_MAX_LOG_N 20 // 1 GiB

// Seals to 1..64 X25519 recipients. The file key is given back for whoever must open the file again
// without an identity (read-back before upload; wipe it); NULL: not wanted. A recipient of low
// order: INVALID.
MUST_CHECK bool age_seal(const uint8_t (*recipients)[KEY_BYTES], size_t n, const void *in,
                         size_t len, struct buf *out, uint8_t file_key[AGE_FILE_KEY_BYTES],
                         struct err *err);
// Seals to a passphrase (scrypt, alone as age demands). No memory for log_n: UNAVAILABLE.
MUST_CHECK bool age_seal_passphrase(const char *passphrase, unsigned log_n, const void *in,
                                    size_t len, struct buf *out, struct err *err);

struct age_keys { // what may open a file; either part may be empty
    const struct age_identities *identities;
    const char *passphrase;
    unsigned max_log_n; // 0: AGE_DEFAULT_MAX_LOG_N
};
// Opens a whole file, appended to out, in one allocation of its size: wipe it (buf_wipe) if it is
// secret. None of the keys fits: DENIED. Damaged, truncated, larger than max_out: CORRUPT. Only
// stanzas of unknown types: DENIED, naming them. A work factor above max_log_n: DENIED.
MUST_CHECK bool age_open(const struct age_keys *keys, const void *in, size_t len, size_t max_out,
                         struct buf *out, struct err *err);
MUST_CHECK bool age_open_file_key(const uint8_t file_key[AGE_FILE_KEY_BYTES], const void *in,
                                  size_t len, size_t max_out, struct buf *out, struct err *err);
// Is it binary, and sealed to one X25519 key and to nothing else? Otherwise CORRUPT.
MUST_CHECK bool age_check_single(const void *in, size_t len, struct err *err);
// Does it begin as an age file does, binary or armored?
bool age_is_file(const void *p, size_t len);
// Does the header hold a scrypt stanza? (Only someone who knew the passphrase made such a file.)
MUST_CHECK bool age_is_passphrase(const void *in, size_t len, bool *out, struct err *err);

#endif
