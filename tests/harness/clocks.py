"""A wall clock of its own for one process: its libc says another time than the machine's.

Linux has no namespace for the wall clock, and setting the machine's would strike everybody. So a few lines of C stand
before libc's functions (LD_PRELOAD, as libfaketime does it). It takes a C compiler; `why_not` says where there is none.
"""

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long ahead(void) {
    static long seconds, known;
    if (!known) {
        const char *text = getenv("TEST_CLOCK_AHEAD_SECONDS");
        seconds = text ? atol(text) : 0;
        known = 1;
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, at);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += ahead();
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


def why_not() -> str:
    """Why no process can be given a clock of its own here; nothing where one can."""
    return "" if shutil.which("cc") else "a clock of its own for a process takes a C compiler (cc)"


def ahead(seconds: int) -> dict[str, str]:
    """What a process needs in its environment for a wall clock that is ahead; behind, where negative."""
    return {"LD_PRELOAD": str(_library()), "TEST_CLOCK_AHEAD_SECONDS": str(seconds)}


@cache
def _library() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="gcc-clock-"))
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(_SOURCE)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True, timeout=60)
    return library
