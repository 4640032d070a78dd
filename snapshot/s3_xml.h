// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: the little XML that S3 and STS answer with. Elements of a flat list are
// found by name; entities are decoded; everything else of XML is ignored. Total on any bytes.
#ifndef SNAPSHOT_S3_XML_H
#define SNAPSHOT_S3_XML_H

#include <stdbool.h>
#include <stddef.h>

// The next <name>…</name> at or after *at within text[0..len): the content's bounds; *at moves
// behind it. False: there is none.
bool xml_next(const char *text, size_t len, size_t *at, const char *name, const char **content,
              size_t *content_len);
// The decoded text of the first <name> in text, owned; NULL when there is none.
char *xml_text(const char *text, size_t len, const char *name);

#endif
