"""Errors on purpose: a sanitizer that misses them would miss those of the kernels as well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from diffcodec.eval.robustness.sanitizers import Sanitizer, findings

SOURCE = """
#include <pthread.h>
#include <stdint.h>

int64_t beyond(const int32_t *x, int64_t n) /* reads one more than there are */
{
    int64_t sum = 0;
    for (int64_t i = 0; i <= n; i++) sum += x[i];
    return sum;
}

int64_t before(int32_t *x, int64_t n) /* writes one that is not there */
{
    for (int64_t i = n; i--;) x[i - 1] = 1;
    return n;
}

int64_t overflow(const int32_t *x, int64_t n)
{
    int32_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += 0x7fffffff - x[i];
    return sum;
}

int64_t shift(const int32_t *x, int64_t n) { return 1 << (n * 8 + x[0]); }

int64_t cast(const int32_t *x, int64_t n) { return (int32_t)(1e10f * (float)n + (float)x[0]); }

static int64_t shared;

static void *add(void *n)
{
    for (int64_t i = 0; i < *(int64_t *)n; i++) shared++;
    return n;
}

int64_t race(const int32_t *x, int64_t n)
{
    pthread_t one, two;
    (void)x;
    pthread_create(&one, NULL, add, &n);
    pthread_create(&two, NULL, add, &n);
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    return shared;
}
"""
CALL = """
import ctypes, sys
import numpy as np
x = np.zeros(8, np.int32)
function = getattr(ctypes.CDLL(sys.argv[1]), sys.argv[2])
function.restype, function.argtypes = ctypes.c_int64, [ctypes.c_void_p, ctypes.c_int64]
function(x.ctypes.data, len(x))
"""
# What is said of each error.
MEMORY = {
    "beyond": "heap-buffer-overflow",
    "before": "heap-buffer-overflow",
    "overflow": "undefined-behavior",
    "shift": "undefined-behavior",
    "cast": "undefined-behavior",
}
THREADS = {"race": "data race"}


def missed(sanitizer: Sanitizer, folder: Path) -> list[str]:
    """The errors that a sanitizer does not notice; folder: an empty one to work in."""
    source, library = folder / "planted.c", folder / "planted.so"
    source.write_text(SOURCE)
    compiled = ["gcc", *sanitizer.flags, "-shared", "-fPIC", "-pthread", str(source)]
    subprocess.run([*compiled, "-o", str(library)], check=True, capture_output=True)
    found = []
    for name, said in (THREADS if sanitizer.name == "thread" else MEMORY).items():
        log = folder / name
        command = [sys.executable, "-c", CALL, str(library), name]
        subprocess.run(command, env=sanitizer.environment(log), capture_output=True)
        if not any(said in line for line in findings(log)):
            found.append(name)
    return found
