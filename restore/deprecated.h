// SPDX-License-Identifier: Apache-2.0
//
// Versions of Kubernetes' own APIs that are on their way out, or are gone (pure data): what takes
// their place, and when.
#ifndef RESTORE_DEPRECATED_H
#define RESTORE_DEPRECATED_H

struct deprecated_api {
    const char *group, *version;
    const char *kinds;   // with a blank between them
    const char *instead; // the version of the same group, or group, version and kind
    int since, gone;     // minor versions of Kubernetes; gone 0: not said
};

// NULL: nothing says that it is deprecated.
const struct deprecated_api *deprecated_find(const char *group, const char *version,
                                             const char *kind);

#endif
