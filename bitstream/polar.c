/* Successive-cancellation list search for a codeword of a polar code: the fast form of
 * polar_search.py, which says what is searched for.
 *
 * A node of 2^height symbols is a polar code x = (u1 + u2, u2) of two halves. A value t is what is
 * expected of a symbol's sign, in -1 .. 1: the halves' values follow by a product and by the sum of
 * the hyperbolic tangent. Above a height the search keeps one path only, so that all that the list
 * touches stays in the cache.
 *
 * Sizes are the business of polar_search.py, which does the same operations in the same order.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
/* Singles are rounded one by one, in this order; but there are no infinities, and the sign of a
 * zero decides nothing, so maxima may be vectors. */
#pragma GCC optimize("O3,fp-contract=off,finite-math-only,no-signed-zeros,no-trapping-math")
#endif

/* AVX-512 gains nothing here: gathers and memory are what the search waits for. */
#if !defined(SIMD) && defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 11
#define SIMD __attribute__((target_clones("avx2", "default")))
#endif
#include "clones.h"
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

#define MOST 128        /* paths */
#define NEVER 1e30f     /* the cost of a path that is not there */
#define SURE 0.999999f  /* the largest value */
#define PRODUCT 4       /* probabilities, at least (1 - SURE) / 2, whose product is far from 0 */

/* A search: memory for the nodes on the way to one, of every height h, from number 2^h on. */
typedef struct {
    const int32_t *before; /* information bits before every input, and in all */
    float *one;            /* values, while they are the same for all paths */
    float *many;           /* values, a row of one for each path */
    uint8_t *bits;         /* symbols, rows too */
    float metric[MOST];    /* bits that each path costs more than the best */
    int lanes, height;     /* of the list; of the nodes that it searches */
} Search;

INLINE int information(const Search *s, Py_ssize_t at, Py_ssize_t rows)
{
    return s->before[at + rows] - s->before[at];
}

INLINE float bounded(float t)
{
    t = t > SURE ? SURE : t;
    return t < -SURE ? -SURE : t;
}

/* Value of a bit of which two independent observations have the values a and b. */
INLINE float together(float a, float b) { return bounded((a + b) / (1 + a * b)); }

/* log2(x) up to 1e-5, x > 0 and not subnormal; made of what vectors can do. */
INLINE float log2_of(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    float exponent = (float)((bits >> 23) - 127), m;
    bits = (bits & 0x7fffff) | 0x3f800000;
    memcpy(&m, &bits, sizeof m);
    m -= 1;
    float series = 0.12177599f - m * 0.02582062f;
    series = 0.45754919f + m * (m * series - 0.27790423f);
    return exponent + m * (1.44254494f + m * (m * series - 0.71814525f));
}

/* Values of the first half from those of the node, a. */
SIMD static void worse(const float *restrict a, int half, float *restrict out)
{
    for (int j = 0; j < half; j++) out[j] = a[j] * a[j + half];
}

/* Values of the second half for one path, x being the symbols of the first. */
SIMD static void better(const float *restrict a, const uint8_t *restrict x, int half,
                        float *restrict out)
{
    for (int j = 0; j < half; j++) out[j] = together(x[j] ? -a[j] : a[j], a[j + half]);
}

SIMD static void bound(const float *restrict values, size_t n, float *restrict out)
{
    for (size_t j = 0; j < n; j++) out[j] = bounded(values[j]);
}

SIMD static void add(uint8_t *restrict x, const uint8_t *restrict y, int half)
{
    for (int j = 0; j < half; j++) x[j] ^= y[j];
}

#define LANES 4
#include "polar_lanes.h"
#define LANES 8
#include "polar_lanes.h"
#define LANES 16
#include "polar_lanes.h"
#define LANES 32
#include "polar_lanes.h"
#define LANES 64
#include "polar_lanes.h"
#define LANES 128
#include "polar_lanes.h"

typedef void Best(Search *s, int height, Py_ssize_t at, uint8_t *out);

static Best *best_of(int lanes)
{
    switch (lanes) {
    case 4: return best_4;
    case 8: return best_8;
    case 16: return best_16;
    case 32: return best_32;
    case 64: return best_64;
    case 128: return best_128;
    default: return NULL;
    }
}

/* The symbols of a node whose values are in `one`, by lists of paths in its nodes of s->height. */
static void descend(Search *s, Best *best, int height, Py_ssize_t at, uint8_t *out)
{
    int half = height ? 1 << (height - 1) : 0;
    float *one = s->one + ((size_t)1 << height);
    if (!information(s, at, (Py_ssize_t)1 << height)) {
        memset(out, 0, (size_t)1 << height);
    } else if (height <= s->height) {
        best(s, height, at, out);
    } else {
        if (information(s, at, half)) worse(one, half, s->one + half);
        descend(s, best, height - 1, at, out);
        better(one, out, half, s->one + half);
        descend(s, best, height - 1, at + half, out + half);
        add(out, out + half, half);
    }
}

/* Memory for a code of 2^k symbols; 0 if there is none. */
static int reserve(Search *s, int k)
{
    size_t rows = (size_t)1 << s->height;
    s->one = malloc(sizeof(float) * 2 << k);
    s->many = malloc(sizeof(float) * 2 * rows * s->lanes);
    s->bits = malloc(rows * s->lanes);
    return s->one && s->many && s->bits;
}

static void release(Search *s)
{
    free(s->one);
    free(s->many);
    free(s->bits);
}

/* search(values, before, k, lanes, height, symbols): float32 (2^k,), int32 (2^k + 1,), uint8. */
static PyObject *search(PyObject *self, PyObject *args)
{
    Py_buffer values, before, symbols;
    int k, ready = 0;
    Search s = {.one = NULL};
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*iiiw*", &values, &before, &k, &s.lanes, &s.height, &symbols))
        return NULL;
    Best *best = best_of(s.lanes);
    /* An int counts the numbers of all paths, and a size_t of 32 bits the bytes. */
    int fits = s.height >= 0 && s.height <= k && s.height <= 20 && k < 28 && values.len == (Py_ssize_t)4 << k &&
               before.len == 4 * (((Py_ssize_t)1 << k) + 1) && symbols.len == (Py_ssize_t)1 << k;
    if (best && fits) ready = reserve(&s, k);
    if (ready) {
        Py_BEGIN_ALLOW_THREADS
        s.before = before.buf;
        bound(values.buf, (size_t)1 << k, s.one + ((size_t)1 << k));
        descend(&s, best, k, 0, symbols.buf);
        Py_END_ALLOW_THREADS
    }
    release(&s);
    PyBuffer_Release(&values);
    PyBuffer_Release(&before);
    PyBuffer_Release(&symbols);
    if (!best) return PyErr_Format(PyExc_ValueError, "no list of %d paths", s.lanes);
    if (!fits) return PyErr_Format(PyExc_ValueError, "the arrays' sizes do not agree");
    if (!ready) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"search", search, METH_VARARGS, "Symbols of a codeword that is likely, given values."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_polar", NULL, 0, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__polar(void) { return PyModule_Create(&module); }
