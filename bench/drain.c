/* Reads one stream as fast as one buffer lets it, and throws it away: the same end for servers and programs.
 *
 *   drain listen               prints a port of loopback, takes one connection there and reads it to its end
 *   drain get HOST PORT PATH   asks for PATH over HTTP/1.1 and reads the answer to the end of the connection
 *
 * Prints "octets seconds first": the octets of the stream, the time from the connection (or the request) to the end,
 * and to the first octet of the body. Exit code 1 where an answer is not 200, or ends without its last octet or chunk. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 256 * 1024, HEAD = 16 * 1024, TAIL = 5 };

static char buffer[BUFFER + 1];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int fail(const char *why) {
    fprintf(stderr, "drain: %s\n", why);
    return 1;
}

/* Reads to the end. The last octets stay in `tail`. */
static unsigned long long drain(int fd, unsigned long long octets, char *tail, double *first) {
    ssize_t n;
    while ((n = recv(fd, buffer, BUFFER, 0)) > 0) {
        if (!octets) *first = now();
        octets += n;
        size_t new = n < TAIL ? n : TAIL;
        memmove(tail, tail + new, TAIL - new);
        memcpy(tail + TAIL - new, buffer + n - new, new);
    }
    return octets;
}

static int print(unsigned long long octets, double begun, double first) {
    double ended = now();
    printf("%llu %.6f %.6f\n", octets, ended - begun, first - begun);
    return 0;
}

static int listening(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int door = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(door, (struct sockaddr *)&at, length) || listen(door, 1)) return fail("cannot listen");
    getsockname(door, (struct sockaddr *)&at, &length);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    int fd = accept(door, NULL, NULL);
    if (fd < 0) return fail("nobody came");
    char tail[TAIL] = {0};
    double begun = now(), first = begun;
    unsigned long long octets = drain(fd, 0, tail, &first);
    return print(octets, begun, first);
}

static int get(const char *host, const char *port, const char *path) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    static char request[4096];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (inet_pton(AF_INET, host, &at.sin_addr) != 1) return fail("HOST is an IPv4 address");
    if (connect(fd, (struct sockaddr *)&at, sizeof at)) return fail("cannot connect");
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host);
    double begun = now(), first = begun;
    if (send(fd, request, length, MSG_NOSIGNAL) != length) return fail("cannot send");
    size_t have = 0;
    char *body = NULL;
    while (!body) {
        if (have == HEAD) return fail("the head is too long");
        ssize_t n = recv(fd, buffer + have, HEAD - have, 0);
        if (n <= 0) return fail("no head came");
        have += n;
        buffer[have] = 0;
        body = strstr(buffer, "\r\n\r\n");
    }
    if (strncmp(buffer, "HTTP/1.1 200", 12)) return fail("the status is not 200");
    char *field = strcasestr(buffer, "\r\ncontent-length:");
    int promised = field && field < body;
    unsigned long long whole = promised ? strtoull(field + 17, NULL, 10) : 0;
    unsigned long long got = have - (body + 4 - buffer);
    char tail[TAIL] = {0};
    if (got) first = now();
    got = drain(fd, got, tail, &first);
    if (promised ? got != whole : memcmp(tail, "0\r\n\r\n", TAIL)) return fail("the body ended early");
    return print(got, begun, first);
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "listen")) return listening();
    if (argc == 5 && !strcmp(argv[1], "get")) return get(argv[2], argv[3], argv[4]);
    fputs("usage: drain listen | drain get HOST PORT PATH\n", stderr);
    return 2;
}
