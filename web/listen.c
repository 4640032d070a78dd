// SPDX-License-Identifier: Apache-2.0
#include "web/web_int.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 128

// "HOST:PORT", "[HOST]:PORT" or ":PORT".
static bool split(const char *address, char **host, char **port, struct err *err)
{
    const char *colon = strrchr(address, ':');
    const char *close = strchr(address, ']');
    bool is_bracketed = *address == '[' && close && close + 1 == colon;
    long long number;
    if (!colon || !str_to_int(colon + 1, 0, 65535, &number) ||
        (!is_bracketed && memchr(address, ':', (size_t)(colon - address))))
        return err_set(err, ERR_USAGE, "listen address %s is not HOST:PORT, [HOST]:PORT or :PORT",
                       address);
    *host = is_bracketed ? str_ndup(address + 1, (size_t)(close - address - 1))
                         : str_ndup(address, (size_t)(colon - address));
    *port = str_dup(colon + 1);
    return true;
}

static bool is_loopback(const struct sockaddr *a)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;
    if (a->sa_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static int try_bind(const struct addrinfo *a, int *errnum)
{
    int on = 1, off = 0;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *errnum = errno;
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    *errnum = errno;
    close(fd);
    return -1;
}

static unsigned port_of(int fd)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof(a);
    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

static bool not_listening(const char *address, int errnum, struct err *err)
{
    if (errnum == EADDRNOTAVAIL)
        return err_set(err, ERR_USAGE, "listen on %s: this machine has no such address", address);
    err_set_errno(err, errnum, "listen on %s", address);
    return errnum == EADDRINUSE ? err_hint(err, "Another process listens there: ss -ltnp names it.")
                                : false;
}

bool web_listen(const char *address, int *fd, unsigned *port, bool *loopback, struct err *err)
{
    CLEANUP(str_freep) char *host = NULL;
    CLEANUP(str_freep) char *service = NULL;
    if (!split(address, &host, &service, err))
        return false;
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int bad = getaddrinfo(*host ? host : NULL, service, &hints, &found);
    if (bad)
        return err_set(err, ERR_USAGE, "listen address %s: %s", address, gai_strerror(bad));
    // Without a host: both families by one socket, which is the one of IPv6 where there is that.
    int errnum = 0;
    *fd = -1;
    *loopback = false;
    for (int family = AF_INET6; *fd < 0; family = AF_INET) {
        for (const struct addrinfo *a = found; a && *fd < 0; a = a->ai_next)
            if (a->ai_family == family && (*fd = try_bind(a, &errnum)) >= 0)
                *loopback = *host && is_loopback(a->ai_addr);
        if (family == AF_INET)
            break;
    }
    freeaddrinfo(found);
    if (*fd < 0)
        return not_listening(address, errnum, err);
    *port = port_of(*fd);
    return true;
}

bool web_listen_check(const char *address, struct err *err)
{
    bool is_loopback;
    unsigned port;
    int fd;
    if (!web_listen(address, &fd, &port, &is_loopback, err))
        return false;
    close(fd);
    return true;
}
