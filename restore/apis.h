// SPDX-License-Identifier: Apache-2.0
//
// Objects whose API the target does not serve, found before the first write (pure). Where another
// version of a built-in kind has the same fields, that one is written; what has no successor is not
// sent. Custom resources wait for their definition, as in a bootstrap.
#ifndef RESTORE_APIS_H
#define RESTORE_APIS_H

#include "gitops/gitops.h"

enum api_fate {
    API_MOVED,      // written in another version
    API_DROPPED,    // not sent: is_virtual
    API_AWAITED,    // nothing here defines it: somebody must, at run time
    API_TRIMMED,    // sent without a field that it does not know (restore/fields.h)
    API_DEPRECATED, // sent as it is: served here, not for much longer
};
struct api_change {
    unsigned object; // index in desired.objects
    enum api_fate fate;
    char *from, *to; // versions; to: API_MOVED; of API_DEPRECATED what takes its place
    char *field;     // API_TRIMMED only: where it stood
};
struct api_changes {
    VEC(struct api_change) v;
};

// Changes objects of d. served, minor: of the target, 0 for a version that is not known.
void apis_settle(struct desired *d, const struct kinds *served, int minor, struct api_changes *out);
void api_changes_clear(struct api_changes *c);
void api_change_clear(struct api_change *c);
// Does Kubernetes itself serve what is in it?
bool api_is_own_group(const char *group);
size_t api_changes_count(const struct api_changes *c, enum api_fate fate);
// "PodSecurityPolicy legacy: policy/v1beta1 is no longer served: left out"; owned.
char *api_change_text(const struct desired *d, const struct api_change *c);

#endif
