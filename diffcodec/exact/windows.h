/* Normalisation inside windows, with the best instructions the processor has (norms.h). */

#define MOST 1073741824.0 /* of a normalised number */

typedef struct {
    Py_ssize_t window;
    int shift, limit;              /* of what is read */
    int64_t *sums, *squares;       /* [windows down][across][c_in] */
    const double *factor, *shifted; /* A, and B with one half: like them */
    double unit;                   /* 2^-gain */
} Normalisation;

/* Some rows, of windows or of pixels. */
typedef void Lines(const Normalisation *m, const Layer *l, Py_ssize_t first, Py_ssize_t last);

#define NAME(f) f##_portable
#define TARGET
#include "norms.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define NAME(f) f##_avx2
#define TARGET __attribute__((target("avx2")))
#include "norms.h"

#define NAME(f) f##_avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#include "norms.h"

static int has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

static Lines *sums_here(void)
{
    return has_avx512() ? sums_avx512 : __builtin_cpu_supports("avx2") ? sums_avx2 : sums_portable;
}

static Lines *lines_here(void)
{
    return has_avx512()                      ? lines_avx512
           : __builtin_cpu_supports("avx2") ? lines_avx2
                                            : lines_portable;
}
#else
static Lines *sums_here(void) { return sums_portable; }

static Lines *lines_here(void) { return lines_portable; }
#endif
