// SPDX-License-Identifier: Apache-2.0
//
// Go templates as texts. A program renders them (source/gotemplate.h); here a text is read only as
// far as Go's lexer reads it, to hold that program to what Argo CD's templates may do: functions
// Argo CD does not have are refused, its own (normalize, slugify) are spelled out, and a parameter
// that is missing does what goTemplateOptions say (spec argo-cd section 6.3). What is wrong with
// the syntax is the program's to say.
//
// Life: gotext_read once for a text, gotext_bind for each set of parameters, gotext_free.
#ifndef GITOPS_GOTEXT_H
#define GITOPS_GOTEXT_H

#include <jansson.h>

#include "base/err.h"

#define GOTEXT_NO_VALUE "<no value>" // as Go prints what is missing

// missingkey of goTemplateOptions.
enum go_missing { GO_MISSING_PRINTED, GO_MISSING_ERROR };

struct gotext;

bool gotext_is_template(const char *text); // else it stays as it is
// Fails (INVALID) for what Argo CD does not have, or regrow does not support.
MUST_CHECK bool gotext_read(const char *text, struct gotext **out, struct err *err);
// The text as the program is to be given it with these parameters; owned. With GO_MISSING_ERROR a
// parameter that is missing has become a call of "fail", which fails when it is reached; only what
// is asked of a variable, or inside range and with, is not seen to.
char *gotext_bind(const struct gotext *t, const json_t *params, enum go_missing missing);
// Are all parameters there that it names outside range and with?
bool gotext_has_all(const struct gotext *t, const json_t *params);
void gotext_free(struct gotext *t);

#endif
