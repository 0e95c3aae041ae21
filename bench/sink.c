/* Reads HTTP/1.1 responses as fast as one buffer lets it, and throws them away.
 *
 *   sink HOST PORT PATH CONNECTIONS TIMES
 *
 * Each connection asks TIMES times for PATH on a kept connection and reads the whole answer;
 * connections run side by side, a thread each. Prints "octets seconds" of the bodies of all.
 * Exit code 1 where an answer is not 200, has no Content-Length or ends early. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 256 * 1024, HEAD = 16 * 1024, MOST = 64 };

static struct sockaddr_in server;
static char request[4096];
static int times;

struct job {
    pthread_t thread;
    unsigned long long octets;
    const char *fault;
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* One request and its answer; NULL, or what went wrong. */
static const char *fetch(int fd, char *buffer, unsigned long long *octets) {
    size_t length = strlen(request), have = 0;
    if (send(fd, request, length, MSG_NOSIGNAL) != (ssize_t)length) return "cannot send";
    char *body = NULL;
    while (!body) {
        if (have == HEAD) return "the head is too long";
        ssize_t n = recv(fd, buffer + have, HEAD - have, 0);
        if (n <= 0) return "no head came";
        have += n;
        buffer[have] = 0;
        body = strstr(buffer, "\r\n\r\n");
    }
    if (strncmp(buffer, "HTTP/1.1 200", 12)) return "the status is not 200";
    char *field = strcasestr(buffer, "\r\ncontent-length:");
    if (!field || field > body) return "there is no Content-Length";
    unsigned long long whole = strtoull(field + 17, NULL, 10);
    unsigned long long got = have - (body + 4 - buffer);
    while (got < whole) {
        ssize_t n = recv(fd, buffer, BUFFER, 0);
        if (n <= 0) return "the body ended early";
        got += n;
    }
    *octets += got;
    return NULL;
}

static void *run(void *argument) {
    struct job *job = argument;
    char *buffer = malloc(BUFFER + 1);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (!buffer || fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server))
        job->fault = "cannot connect";
    for (int i = 0; i < times && !job->fault; i++) job->fault = fetch(fd, buffer, &job->octets);
    close(fd);
    free(buffer);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fputs("usage: sink HOST PORT PATH CONNECTIONS TIMES\n", stderr);
        return 2;
    }
    static struct job jobs[MOST];
    int connections = atoi(argv[4]);
    times = atoi(argv[5]);
    server.sin_family = AF_INET;
    server.sin_port = htons(atoi(argv[2]));
    if (connections < 1 || connections > MOST || inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) {
        fputs("sink: HOST is an IPv4 address, CONNECTIONS are 1 to 64\n", stderr);
        return 2;
    }
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", argv[3], argv[1]);
    double begun = now();
    for (int i = 0; i < connections; i++) pthread_create(&jobs[i].thread, NULL, run, &jobs[i]);
    unsigned long long octets = 0;
    int faults = 0;
    for (int i = 0; i < connections; i++) {
        pthread_join(jobs[i].thread, NULL);
        octets += jobs[i].octets;
        if (jobs[i].fault) {
            fprintf(stderr, "sink: %s\n", jobs[i].fault);
            faults = 1;
        }
    }
    printf("%llu %.6f\n", octets, now() - begun);
    return faults;
}
