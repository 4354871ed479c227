/*
 * spin: a fixed piece of work, half of it computing and half of it system calls, as a proxy's is. It prints how many
 * microseconds of CPU that took. On a quiet machine the number hardly changes; where other programs or other virtual
 * machines share caches and cores, it grows, and what is measured beside it grows alike.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORDS = 1 << 15, PASSES = 150, MESSAGES = 6000 };

static uint64_t words[WORDS];

int main(void) {
    uint64_t sum = 1;
    for (int pass = 0; pass < PASSES; pass++)
        for (int i = 0; i < WORDS; i++) words[i] = sum = sum * 6364136223846793005u + words[(sum >> 40) % WORDS] + 1;

    int ends[2];
    char message[1024];
    memset(message, (int)(sum & 1), sizeof message);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0) return 1;
    for (int i = 0; i < MESSAGES; i++)
        if (write(ends[0], message, sizeof message) < 0 || read(ends[1], message, sizeof message) < 0) return 1;

    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("%ld\n", (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000L + used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    return 0;
}
