/* A wrong clock for one process, without a word of it in the node: loaded with LD_PRELOAD, it adds a number
   of milliseconds to every reading of the wall clock. The number is the first eight bytes of the file that
   CUSTOS_CLOCK_FILE names, mapped into memory: whoever writes the file makes the clock jump while the
   process runs. Steady clocks are left alone, as they are by real clocks that are set. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset_ms;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CUSTOS_CLOCK_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *page = mmap(0, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) offset_ms = page;
    close(file);
}

int clock_gettime(clockid_t id, struct timespec *t) {
    long result = syscall(SYS_clock_gettime, id, t);
    if (result == 0 && offset_ms && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        int64_t ns = t->tv_nsec + (*offset_ms % 1000) * 1000000;
        t->tv_sec += *offset_ms / 1000;
        if (ns < 0) { ns += 1000000000; t->tv_sec -= 1; }
        if (ns >= 1000000000) { ns -= 1000000000; t->tv_sec += 1; }
        t->tv_nsec = ns;
    }
    return (int)result;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone) {
    (void)zone;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *t) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    if (t) *t = now.tv_sec;
    return now.tv_sec;
}
