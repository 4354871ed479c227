/*
 * upstream PORT: the app behind the proxies, one epoll loop, so that it is never what is measured.
 *
 * The last segment of a request's path picks the body of the answer: small (27 bytes), 1k, 64k, 1m. Connections are kept
 * alive, pipelined requests are answered in order, a request's own body is read (Content-Length) and dropped.
 * It understands what the proxies of this benchmark send and is no server for anything else.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <unistd.h>

enum { MAX_FDS = 1 << 16, HEAD_MAX = 8192, EVENTS = 256 };

/* An answer: text is the head, with the body where that is short; else the body is in file. */
struct answer {
    const char *name;
    size_t body;
    char text[2048];
    size_t text_len;
    int file;
};

static struct answer answers[] = {
    {.name = "small", .body = 27}, {.name = "1k", .body = 1 << 10}, {.name = "64k", .body = 64 << 10}, {.name = "1m", .body = 1 << 20},
};

struct conn {
    size_t have;          /* bytes in head */
    size_t skip;          /* bytes of a request's body still to drop */
    struct answer *now;   /* being written, or NULL */
    size_t sent;          /* of text */
    off_t offset;         /* of file */
    char head[HEAD_MAX];
};

static struct conn *conns;
static int epfd;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void prepare(void) {
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct answer *a = &answers[i];
        a->text_len = (size_t)snprintf(a->text, sizeof a->text,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", a->body);
        a->file = -1;
        if (a->body <= 1024) {
            memset(a->text + a->text_len, 'x', a->body);
            a->text_len += a->body;
            continue;
        }
        char *body = malloc(a->body);
        a->file = memfd_create(a->name, 0);
        if (!body || a->file < 0) die("memfd_create");
        memset(body, 'x', a->body);
        if (write(a->file, body, a->body) != (ssize_t)a->body) die("write");
        free(body);
    }
}

static void drop(int fd) {
    close(fd);
    conns[fd].have = conns[fd].skip = 0;
    conns[fd].now = NULL;
}

static void watch(int fd, uint32_t events, int op) {
    struct epoll_event e = {.events = events, .data.fd = fd};
    if (epoll_ctl(epfd, op, fd, &e) < 0) die("epoll_ctl");
}

/* Takes one whole head off the buffer and picks the answer. 0: there is none yet; -1: not understood. */
static int take(struct conn *c) {
    char *end = memmem(c->head, c->have, "\r\n\r\n", 4);
    if (!end) return c->have == HEAD_MAX ? -1 : 0;
    *end = 0;
    char *length = *c->head == 'G' ? NULL : strcasestr(c->head, "\r\ncontent-length:");
    if (length) c->skip = strtoul(length + 17, NULL, 10);
    char *path = strchr(c->head, ' ');
    char *stop = path ? strpbrk(path + 1, " ?") : NULL;
    if (!stop) return -1;
    *stop = 0;
    char *last = strrchr(path + 1, '/');
    if (!last) return -1;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (!strcmp(last + 1, answers[i].name)) c->now = &answers[i];
    if (!c->now) return -1;
    c->sent = 0;
    c->offset = 0;
    size_t used = (size_t)(end - c->head) + 4;
    c->have -= used;
    memmove(c->head, c->head + used, c->have);
    size_t body = c->skip < c->have ? c->skip : c->have;
    c->have -= body;
    c->skip -= body;
    memmove(c->head, c->head + body, c->have);
    return 1;
}

/* Writes on. 1: done; 0: the socket is full; -1: broken. */
static int put(int fd, struct conn *c) {
    struct answer *a = c->now;
    while (c->sent < a->text_len) {
        ssize_t n = send(fd, a->text + c->sent, a->text_len - c->sent, MSG_NOSIGNAL | (a->file < 0 ? 0 : MSG_MORE));
        if (n < 0) return errno == EAGAIN ? 0 : -1;
        c->sent += (size_t)n;
    }
    while (a->file >= 0 && (size_t)c->offset < a->body) {
        ssize_t n = sendfile(fd, a->file, &c->offset, a->body - (size_t)c->offset);
        if (n < 0) return errno == EAGAIN ? 0 : -1;
    }
    c->now = NULL;
    return 1;
}

/* Answers what is there. A request is answered once its body has come. */
static int answer(int fd, struct conn *c) {
    for (;;) {
        if (c->skip) return 1;
        if (!c->now) {
            int got = take(c);
            if (got <= 0) return got < 0 ? -1 : 1;
            if (c->skip) return 1;
        }
        int done = put(fd, c);
        if (done <= 0) return done;
    }
}

static void serve(int fd, uint32_t events) {
    struct conn *c = &conns[fd];
    int was_full = c->now && !c->skip;
    if (events & EPOLLIN && !was_full) {
        ssize_t n = c->skip ? recv(fd, NULL, c->skip, MSG_TRUNC) : recv(fd, c->head + c->have, HEAD_MAX - c->have, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) return drop(fd);
        if (n < 0) return;
        if (c->skip) c->skip -= (size_t)n;
        else c->have += (size_t)n;
    } else if (events & (EPOLLERR | EPOLLHUP)) {
        return drop(fd);
    }
    int done = answer(fd, c);
    if (done < 0) return drop(fd);
    if (done == 0 && !was_full) watch(fd, EPOLLOUT, EPOLL_CTL_MOD);
    if (done == 1 && was_full) watch(fd, EPOLLIN, EPOLL_CTL_MOD);
}

static void take_in(int listener) {
    for (;;) {
        int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        if (fd >= MAX_FDS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: upstream PORT\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN); /* sendfile has no MSG_NOSIGNAL */
    prepare();
    conns = mmap(NULL, MAX_FDS * sizeof *conns, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (conns == MAP_FAILED) die("mmap");

    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 4096) < 0) die("listen");
    epfd = epoll_create1(EPOLL_CLOEXEC);
    watch(listener, EPOLLIN, EPOLL_CTL_ADD);
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(epfd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener) take_in(listener);
            else serve(events[i].data.fd, events[i].events);
        }
    }
}
