// SPDX-License-Identifier: Apache-2.0
//
// Preloaded (tests/lib/faults.sh): a silent server is given up after a second, where the program
// waits half a minute. What it does then is all its own.
#include <dlfcn.h>
#include <stdarg.h>
#include <stddef.h>

#define LOW_SPEED_TIME 20 // CURLOPT_LOW_SPEED_TIME: seconds of silence

int curl_easy_setopt(void *curl, int option, ...);

int curl_easy_setopt(void *curl, int option, ...)
{
    static int (*real)(void *, int, ...);
    va_list ap;
    va_start(ap, option);
    void *value = va_arg(ap, void *); // a pointer, or an integer as wide
    va_end(ap);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "curl_easy_setopt");
    return option == LOW_SPEED_TIME ? real(curl, option, 1L) : real(curl, option, value);
}
