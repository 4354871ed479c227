/*
 * load [flags] PORT: a load generator for HTTP/1.1 on 127.0.0.1, one epoll loop. It prints one line of JSON.
 *
 *   -c N      connections (64)
 *   -d SECS   how long (3)
 *   -n N      stop after N requests; if they are not done within a minute, fail
 *   -r RATE   requests a second at fixed times, whatever the answers do (open loop); latency counts from the time a
 *             request was due, so that a stall is not hidden. Without it each connection sends its next request as soon
 *             as its answer is there (closed loop).
 *   -p PATH   (/orders/small)
 *   -t FILE   Bearer tokens, one a line, sent in turn;  -k N: only the first N
 *   -b BYTES  POST a body of so many bytes instead of GET
 *   -i        send one request on each connection, print the line, then hold all connections idle until stdin ends
 *
 * An answer must be a 200 with Content-Length; all others count as errors. A closed connection is opened again.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNS = 20000, EVENTS = 256, HEAD_MAX = 16384, SLOTS = 1000000, DUE_MAX = 1 << 16, IN_FLIGHT = 64 };

static struct { int conns, port, hold; double secs, rate; long requests, tokens; size_t body; const char *path, *file; } opt = {
    .conns = 64, .secs = 3, .path = "/orders/small"};

struct request { char *text; size_t len; };

struct conn {
    int fd, busy;
    struct request *req;
    size_t sent;          /* of the request, its body included */
    size_t have;          /* bytes of the answer's head in head */
    size_t rest;          /* bytes of the answer's body still to come */
    int in_body;
    uint64_t since;       /* ns: when it was sent, or due */
    char head[HEAD_MAX];
};

static struct request *requests;
static long n_requests, next_request;
static struct conn *conns;
static struct conn **idle;              /* connections without a request, a stack */
static int n_idle;
static uint64_t due[DUE_MAX];           /* open loop: requests that are due and have no connection yet, a ring */
static unsigned due_head, due_tail;
static uint32_t slots[SLOTS + 1];       /* answers by microsecond */
static long done, errors, reopened, in_flight, started;
static char *zeros;
static int epfd;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void add_request(const char *token) {
    requests = realloc(requests, (size_t)(n_requests + 1) * sizeof *requests);
    struct request *r = &requests[n_requests++];
    char length[64] = "";
    if (opt.body) snprintf(length, sizeof length, "Content-Length: %zu\r\n", opt.body);
    int n = asprintf(&r->text, "%s %s HTTP/1.1\r\nHost: bench.example.com\r\nUser-Agent: load\r\nAccept: */*\r\n%s%s%s%s\r\n",
        opt.body ? "POST" : "GET", opt.path, length, token ? "Authorization: Bearer " : "", token ? token : "", token ? "\r\n" : "");
    if (n < 0) die("asprintf");
    r->len = (size_t)n;
}

static void read_tokens(void) {
    if (!opt.file) return add_request(NULL);
    FILE *f = fopen(opt.file, "r");
    char *line = NULL;
    size_t size = 0;
    if (!f) die(opt.file);
    for (ssize_t n; (n = getline(&line, &size, f)) > 0 && (!opt.tokens || n_requests < opt.tokens);) {
        line[strcspn(line, "\r\n")] = 0;
        if (*line) add_request(line);
    }
    free(line);
    fclose(f);
    if (!n_requests) {
        fprintf(stderr, "load: %s has no tokens\n", opt.file);
        exit(1);
    }
}

static void watch(struct conn *c, uint32_t events, int op) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(epfd, op, c->fd, &e) < 0) die("epoll_ctl");
}

static void open_conn(struct conn *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->busy = 0;
    c->have = c->rest = c->sent = 0;
    c->in_body = 0;
    watch(c, EPOLLIN, EPOLL_CTL_ADD);
}

/* Sends on. -1: the connection is broken. */
static int put(struct conn *c) {
    size_t all = c->req->len + opt.body;
    while (c->sent < all) {
        int head = c->sent < c->req->len;
        const char *from = head ? c->req->text + c->sent : zeros;
        size_t len = head ? c->req->len - c->sent : all - c->sent;
        ssize_t n = send(c->fd, from, len, MSG_NOSIGNAL | MSG_DONTWAIT | (head && opt.body ? MSG_MORE : 0));
        if (n < 0 && errno == EAGAIN) {
            watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            return 0;
        }
        if (n < 0) return -1;
        c->sent += (size_t)n;
    }
    return 0;
}

static void fail(struct conn *c) {
    errors += c->busy;
    in_flight -= c->busy;
    reopened++;
    close(c->fd);
    open_conn(c);
    idle[n_idle++] = c;
    if (errors > 1000 && errors > done) {
        fprintf(stderr, "load: nearly everything fails\n");
        exit(1);
    }
}

static void start(struct conn *c, uint64_t since) {
    c->req = &requests[next_request];
    if (++next_request == n_requests) next_request = 0;
    c->busy = 1;
    c->sent = 0;
    c->since = since;
    in_flight++;
    started++;
    if (put(c) < 0) fail(c);
}

static void finish(struct conn *c, int ok) {
    uint64_t us = (now_ns() - c->since) / 1000;
    slots[us < SLOTS ? us : SLOTS]++;
    done++;
    errors += !ok;
    c->busy = 0;
    c->have = 0;
    c->in_body = 0;
    in_flight--;
    idle[n_idle++] = c;
}

/* Reads an answer's head. -1: broken, 0: more to come, 1: the head is there and rest is set. */
static int take_head(struct conn *c) {
    ssize_t n = recv(c->fd, c->head + c->have, HEAD_MAX - 1 - c->have, MSG_DONTWAIT);
    if (n <= 0) return n < 0 && errno == EAGAIN ? 0 : -1;
    c->have += (size_t)n;
    c->head[c->have] = 0;
    char *end = memmem(c->head, c->have, "\r\n\r\n", 4);
    if (!end) return c->have >= HEAD_MAX - 1 ? -1 : 0;
    char *length = strcasestr(c->head, "\r\ncontent-length:");
    if (!length || length > end) return -1;
    size_t body = strtoul(length + 17, NULL, 10), got = c->have - (size_t)(end + 4 - c->head);
    if (got > body) return -1;
    c->rest = body - got;
    return 1;
}

static void serve(struct conn *c, uint32_t events) {
    if (events & EPOLLOUT) {
        watch(c, EPOLLIN, EPOLL_CTL_MOD);
        if (put(c) < 0) return fail(c);
    }
    if (!(events & ~(uint32_t)EPOLLOUT)) return;
    if (!c->busy) { /* closed while idle: it is on the stack already */
        reopened++;
        close(c->fd);
        return open_conn(c);
    }
    if (!c->in_body) {
        int got = take_head(c);
        if (got < 0) return fail(c);
        if (got == 0) return;
        c->in_body = 1;
    }
    while (c->rest) {
        ssize_t n = recv(c->fd, NULL, c->rest, MSG_TRUNC | MSG_DONTWAIT); /* dropped by the kernel, not copied */
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) return fail(c);
        c->rest -= (size_t)n;
    }
    finish(c, !strncmp(c->head + 8, " 200", 4));
}

static double quantile(double q) {
    long want = (long)(q * (double)done), seen = 0;
    for (long us = 0; us <= SLOTS; us++)
        if ((seen += slots[us]) > want) return (double)us;
    return SLOTS;
}

static void print(double secs) {
    printf("{\"requests\":%ld,\"errors\":%ld,\"reopened\":%ld,\"seconds\":%.6f,\"p50\":%.0f,\"p99\":%.0f,\"p999\":%.0f}\n",
        done, errors, reopened, secs, quantile(.5), quantile(.99), quantile(.999));
    fflush(stdout);
}

/* Starts what is to be started now. Returns the time of the next request in open loop. */
static uint64_t feed(uint64_t next, uint64_t gap, uint64_t end) {
    if (opt.rate > 0) {
        for (uint64_t now = now_ns(); next <= now && next < end; next += gap) {
            if (due_tail - due_head == DUE_MAX) {
                fprintf(stderr, "load: %d requests wait; the rate is too high\n", DUE_MAX);
                exit(1);
            }
            due[due_tail++ % DUE_MAX] = next;
        }
        for (int i = 64; n_idle && due_head != due_tail && i; i--) start(idle[--n_idle], due[due_head++ % DUE_MAX]);
        return next;
    }
    long limit = opt.hold ? opt.conns : opt.requests;
    while (n_idle && (!limit || started < limit) && (!opt.hold || in_flight < IN_FLIGHT)) start(idle[--n_idle], now_ns());
    return next;
}

static void run(void) {
    uint64_t begin = now_ns(), end = begin + (uint64_t)(opt.secs * 1e9), next = begin;
    uint64_t gap = opt.rate > 0 ? (uint64_t)(1e9 / opt.rate) : 0;
    long limit = opt.hold ? opt.conns : opt.requests;
    struct epoll_event events[EVENTS];
    for (;;) {
        uint64_t now = now_ns();
        if (limit ? done + errors >= limit : now >= end) break;
        next = feed(next, gap, end);
        now = now_ns();
        uint64_t until = opt.rate > 0 && next < end ? next : end, wait = until > now ? until - now : 0;
        if (limit) {
            wait = 1000000000;
            if (now - begin > 60 * wait) {
                fprintf(stderr, "load: %ld of %ld requests were answered in a minute\n", done, limit);
                exit(1);
            }
        }
        struct timespec t = {.tv_sec = (time_t)(wait / 1000000000), .tv_nsec = (long)(wait % 1000000000)};
        int n = epoll_pwait2(epfd, events, EVENTS, &t, NULL);
        if (n < 0 && errno != EINTR) die("epoll_pwait2");
        for (int i = 0; i < n; i++) serve(events[i].data.ptr, events[i].events);
    }
    print((double)(now_ns() - begin) / 1e9);
}

/* Opens each connection only when its turn has come, so that all get their one request with few in flight. */
static void hold(void) {
    for (int i = 0; i < opt.conns; i++) {
        open_conn(&conns[i]);
        start(&conns[i], now_ns());
        struct epoll_event events[EVENTS];
        while (in_flight >= (i + 1 == opt.conns ? 1 : IN_FLIGHT)) {
            int n = epoll_wait(epfd, events, EVENTS, -1);
            for (int k = 0; k < n; k++) serve(events[k].data.ptr, events[k].events);
        }
    }
    print(0);
    char c;
    while (read(0, &c, 1) > 0) {
    }
}

static void usage(void) {
    fprintf(stderr, "usage: load [-c conns] [-d secs] [-n requests] [-r rate] [-p path] [-t tokens] [-k n] [-b bytes] [-i] PORT\n");
    exit(2);
}

static void parse(int argc, char **argv) {
    for (int o; (o = getopt(argc, argv, "c:d:n:r:p:t:k:b:i")) != -1;) {
        switch (o) {
        case 'c': opt.conns = atoi(optarg); break;
        case 'd': opt.secs = atof(optarg); break;
        case 'n': opt.requests = atol(optarg); break;
        case 'r': opt.rate = atof(optarg); break;
        case 'p': opt.path = optarg; break;
        case 't': opt.file = optarg; break;
        case 'k': opt.tokens = atol(optarg); break;
        case 'b': opt.body = strtoul(optarg, NULL, 10); break;
        case 'i': opt.hold = 1; break;
        default: usage();
        }
    }
    if (optind + 1 != argc || opt.conns < 1 || opt.conns > MAX_CONNS) usage();
    opt.port = atoi(argv[optind]);
}

int main(int argc, char **argv) {
    parse(argc, argv);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    prctl(PR_SET_TIMERSLACK, 1);
    read_tokens();
    conns = calloc((size_t)opt.conns, sizeof *conns);
    idle = calloc((size_t)opt.conns + 1, sizeof *idle);
    zeros = calloc(1, opt.body + 1);
    epfd = epoll_create1(EPOLL_CLOEXEC);
    if (!conns || !idle || !zeros || epfd < 0) die("start");
    if (opt.hold) {
        hold();
        return 0;
    }
    for (int i = 0; i < opt.conns; i++) {
        open_conn(&conns[i]);
        idle[n_idle++] = &conns[i];
    }
    run();
    return 0;
}
