/* Sixteen singles at a time, every operation rounded on its own: the same bits on every machine.
 *
 * GCC and Clang turn this into what the processor has. No fused multiply-add (the build says
 * -ffp-contract=off), no function of a library, no sum in another order. vector.py mirrors it.
 */
#include <float.h>
#include <stdint.h>

#if !defined(__GNUC__) || (FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16)
#error "this needs the vectors of GCC or Clang, and singles that are rounded as singles"
#endif
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi" /* vectors are passed to inlined functions only */
#endif

#define LANES 16
#define INLINE static inline __attribute__((always_inline))

typedef float V __attribute__((vector_size(64)));
typedef int32_t W __attribute__((vector_size(64)));
typedef float H __attribute__((vector_size(32)));
typedef float Quarter __attribute__((vector_size(16)));
typedef float Pair __attribute__((vector_size(8), aligned(4)));

#define AS_INTEGERS(x) __builtin_convertvector(x, W) /* towards zero */
#define AS_SINGLES(x) __builtin_convertvector(x, V)

/* Four of the lanes of x, 0 .. 3, and y, 4 .. 7. */
#if defined(__clang__)
#define PICK(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
typedef int32_t Places __attribute__((vector_size(16)));
#define PICK(x, y, ...) __builtin_shuffle(x, y, (Places){__VA_ARGS__})
#endif

INLINE V all(float x) { return (V){0} + x; }

INLINE V choose(W mask, V a, V b) { return (V)((mask & (W)a) | (~mask & (W)b)); }

INLINE V at_least(V x, float least) { return choose(x > least, x, all(least)); }

INLINE V within(V x, float least, float most)
{
    x = at_least(x, least);
    return choose(x < most, x, all(most));
}

/* `least` too where x is not a number. */
INLINE float within1(float x, float least, float most)
{
    x = x > least ? x : least;
    return x < most ? x : most;
}

INLINE int clip(int x, int least, int most) { return x < least ? least : x > most ? most : x; }

INLINE Quarter quarter_sums(V a)
{
    union { V v; H h[2]; } whole = {a};
    union { H v; Quarter q[2]; } half = {whole.h[0] + whole.h[1]};
    return half.q[0] + half.q[1];
}

/* The sum of all lanes: the upper half is added to the lower one until one is left. */
INLINE float sum(V a)
{
    Quarter x = quarter_sums(a);
    return (x[0] + x[2]) + (x[1] + x[3]);
}

/* The sums of eight vectors. */
INLINE H sums(const V *a)
{
    Quarter s[8], pair[4];
    union { H v; Quarter q[2]; } all_of;
    for (int k = 0; k < 8; k++) s[k] = quarter_sums(a[k]);
    for (int k = 0; k < 4; k++) {
        Quarter x = s[2 * k], y = s[2 * k + 1];
        pair[k] = PICK(x, y, 0, 1, 4, 5) + PICK(x, y, 2, 3, 6, 7);
    }
    for (int k = 0; k < 2; k++) {
        Quarter x = pair[2 * k], y = pair[2 * k + 1];
        all_of.q[k] = PICK(x, y, 0, 2, 4, 6) + PICK(x, y, 1, 3, 5, 7);
    }
    return all_of.v;
}

INLINE float sum_of_eight(H a)
{
    union { H v; Quarter q[2]; } half = {a};
    Quarter x = half.q[0] + half.q[1];
    return (x[0] + x[2]) + (x[1] + x[3]);
}

/* Of positive normal numbers, within 0.0011; exact at powers of two. */
INLINE V log_2(V x)
{
    W bits = (W)x;
    V exponent = AS_SINGLES((bits >> 23) - 127);
    V m = (V)((bits & 0x7fffff) | 0x3f800000);
    return exponent + (((0.15638611f * m - 1.04640899f) * m + 3.04452418f) * m - 2.15450130f);
}

/* Of -64 < x < 64, within 6e-6 of the value. */
INLINE V exp_2(V x)
{
    W n = AS_INTEGERS(x + 64.0f) - 64;
    V f = x - AS_SINGLES(n);
    V p = (((0.01368647f * f + 0.05175228f) * f + 0.24156560f) * f + 0.69299566f) * f + 1.0f;
    return (V)((W)p + (n << 23));
}

/* 1 / (1 + exp(-x)), of x within -20 .. 20. */
INLINE V logistic(V x)
{
    return 1.0f / (1.0f + exp_2(within(x, -20.0f, 20.0f) * -1.44269504f));
}

/* 1 / sqrt(x) of positive normal numbers, within 5e-6 of the value: two steps of Newton's. */
INLINE V inverse_root(V x)
{
    V y = (V)(0x5f3759df - ((W)x >> 1)), half = 0.5f * x;
    y = y * (1.5f - half * y * y);
    return y * (1.5f - half * y * y);
}

/* -1 for a lane that is true, as comparisons have it: how many of 6 limits x reaches, 0 .. 6. */
INLINE W seventh(V x)
{
    return -((x >= -2.0f) + (x >= -1.0f) + (x >= -0.35f) + (x >= 0.35f) + (x >= 1.0f) +
             (x >= 2.0f));
}

INLINE float log_2_of(float x) { return log_2(all(x))[0]; }
INLINE float exp_2_of(float x) { return exp_2(all(x))[0]; }
INLINE float logistic_of(float x) { return logistic(all(x))[0]; }
INLINE float inverse_root_of(float x) { return inverse_root(all(x))[0]; }
