// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "cli/snapshot_keys.h"

void ways_clear(struct ways *w)
{
    buf_wipe(&w->passphrase);
    strv_clear(&w->labels);
}

static const char *keep_label(struct ways *w, char *label_take)
{
    strv_push_take(&w->labels, label_take);
    return w->labels.v[w->labels.len - 1];
}

bool ways_recipient(struct ways *w, const char *recipient, const char *label, struct err *err)
{
    if (w->n == MAX_WAYS - 1)
        return err_set(err, ERR_USAGE, "more than %d recipients", MAX_WAYS - 1);
    if (!age_recipient_parse(recipient, w->recipients[w->n], err))
        return err_wrap(err, "recipient %.80s", recipient);
    w->v[w->n] = (struct slot_way){
        .recipient = w->recipients[w->n],
        .label = keep_label(w, label ? str_printf("%s %s", label, recipient) : str_dup(recipient))};
    w->n++;
    return true;
}

bool ways_recipients(struct ways *w, const struct snapshot_options *o, struct err *err)
{
    for (size_t i = 0; i < o->recipients.len; i++)
        if (!ways_recipient(w, o->recipients.v[i], o->label, err))
            return false;
    return true;
}

void ways_passphrase(struct ways *w, const char *label)
{
    w->v[w->n++] = (struct slot_way){.passphrase = w->passphrase.p,
                                     .label = keep_label(w, str_dup(label ? label : "passphrase"))};
}

bool key_change_failed(struct err *err)
{
    if (err->kind == ERR_DENIED && !err->hint)
        err_hint(err,
                 "regrow snapshot key list shows who is an admin, and how many a change takes: "
                 "--also-key with the key of another, or --propose FILE for them to sign.");
    if (err->kind == ERR_CONFLICT && !err->hint)
        err_hint(err, "Nothing was changed by this. regrow snapshot key list shows how things are "
                      "now; if somebody else changed them meanwhile, run it again.");
    return false;
}
