/* Every instruction set that this compiler knows, and which of them the processor has. */

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#define UNROLLED _Pragma("GCC unroll 16")
#else
#define UNROLLED
#endif

#include "layer.h"

INLINE int32_t four(const uint8_t *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

#include "plain.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define X86
#include "x86.h"
#elif defined(__aarch64__) && defined(__GNUC__)
#define NEON
#include "neon.h"
#endif

#include "chain.h"

/* The instruction sets that were compiled, the fastest first. */
static const struct {
    const char *name;
    Rows *rows;
} sets[] = {
#ifdef AMX
    {"amx", layer_amx},
#endif
#ifdef X86
    {"vnni", layer_vnni},
#ifdef AVXVNNI
    {"avxvnni", layer_avxvnni},
#endif
    {"avx2", layer_avx2},
#endif
#ifdef NEON
    {"neon", layer_neon},
#endif
    {"portable", layer_portable},
};
#define SETS (int)(sizeof sets / sizeof *sets)

static int has(const char *name)
{
#ifdef X86
    int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512vnni");
#ifdef AMX
    if (!strcmp(name, "amx")) return avx512 && may_use_amx();
#endif
    if (!strcmp(name, "vnni")) return avx512;
#ifdef AVXVNNI
    if (!strcmp(name, "avxvnni")) {
        unsigned a, b, c, d;
        return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) &&
               a >> 4 & 1;
    }
#endif
    if (!strcmp(name, "avx2")) return __builtin_cpu_supports("avx2");
#endif
#ifdef NEON
    if (!strcmp(name, "neon")) return may_use_neon();
#endif
    return !strcmp(name, "portable");
}

/* Rows of layers by a set that is here, or NULL. */
static Rows *find(const char *name)
{
    for (int i = 0; i < SETS; i++)
        if (!strcmp(name, sets[i].name) && has(name)) return sets[i].rows;
    return NULL;
}

/* Chains one after the other: the first and the last layer of each, and rows begin .. end - 1 of the
 * last. */
static void chains(const Network *n, const int64_t (*list)[4], int64_t count, Rows *of_set)
{
    for (int64_t i = 0; i < count; i++)
        chain(n, list[i][0], list[i][1], list[i][2], list[i][3], of_set);
#ifdef X86
    _mm_sfence(); /* other threads may read what was written past the caches */
#endif
#ifdef AMX
    if (of_set == layer_amx) release();
#endif
}
