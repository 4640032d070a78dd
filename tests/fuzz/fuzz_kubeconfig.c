// SPDX-License-Identifier: Apache-2.0
//
// kubeconfig files of anybody's making. Plugins are never started: a file that names one is cut.
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "kube/kube.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[64];
    struct err err = {0};
    struct kubeconfig *c = NULL;
    if (memmem(data, size, "exec", 4) || memmem(data, size, "<<", 2))
        return 0;
    if (!*path)
        snprintf(path, sizeof(path), "/tmp/regrow-fuzz-%ld", (long)getpid());
    if (!file_replace(path, data, size, 0600, &err)) {
        err_clear(&err);
        return 0;
    }
    struct kubeconfig_opts o = {.path = path};
    if (kubeconfig_load(&o, &c, &err))
        kubeconfig_free(c);
    err_clear(&err);
    return 0;
}
