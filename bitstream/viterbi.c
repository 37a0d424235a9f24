/* Viterbi search of the shift-register trellis in int16: the fast form of viterbi.py.
 *
 * State s holds the last nu path bits; bit b leads to branch word w = 2s + b (nu + 1 bits) and to
 * state w mod 2^nu. The branch scores f[(w + shift[w >> 8]) & 255], so a run of 256 words reads a
 * rotated copy of one row of 256 scores. State t has the predecessors t/2 and t/2 + 2^(nu-1).
 * Decisions are packed over time: bit i % 16 of decision[i / 16][t] tells which predecessor won
 * stage i. Every loop below runs over independent lanes, so compilers turn it into SIMD.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__)
#pragma GCC optimize("O3")
#define SIMD __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define SIMD
#endif

#define RUN 256       /* words that share one shift */
#define RENORMALISE 8 /* stages between renormalisations; viterbi.py bounds the scores by it */

/* One stage for the 256 next states whose lower predecessors begin at a and upper ones at b. */
SIMD static void extend(const int16_t *restrict a, const int16_t *restrict b,
                        const int16_t *restrict f, const int16_t *restrict g,
                        int16_t *restrict next, uint16_t *restrict decision, uint16_t bit)
{
    int16_t low[RUN], high[RUN];
    for (int j = 0; j < RUN / 2; j++) {
        low[2 * j] = low[2 * j + 1] = a[j];
        high[2 * j] = high[2 * j + 1] = b[j];
    }
    for (int t = 0; t < RUN; t++) {
        int16_t x = low[t] + f[t], y = high[t] + g[t];
        next[t] = y > x ? y : x;
        decision[t] |= y > x ? bit : 0;
    }
}

SIMD static void subtract(int16_t *metric, int states, int16_t offset)
{
    for (int t = 0; t < states; t++) metric[t] -= offset;
}

/* Runs all stages; metric is replaced by the final one. Returns -1 without memory. */
static int search(const int16_t *scores, Py_ssize_t stages, const uint8_t *shift, int nu,
                  int16_t *metric, uint16_t *decision)
{
    int states = 1 << nu, runs = states / RUN;
    int16_t *spare = malloc(sizeof(int16_t) * states), *old = metric, *next = spare;
    if (!spare) return -1;
    for (Py_ssize_t i = 0; i < stages; i++) {
        int16_t twice[2 * RUN];
        memcpy(twice, scores + RUN * i, sizeof(int16_t) * RUN);
        memcpy(twice + RUN, scores + RUN * i, sizeof(int16_t) * RUN);
        for (int r = 0; r < runs; r++)
            extend(old + r * (RUN / 2), old + states / 2 + r * (RUN / 2), twice + shift[r],
                   twice + shift[runs + r], next + r * RUN,
                   decision + (i / 16) * states + r * RUN, (uint16_t)(1u << (i % 16)));
        if (i % RENORMALISE == RENORMALISE - 1) subtract(next, states, next[0]);
        int16_t *swap = old; old = next; next = swap;
    }
    if (old != metric) memcpy(metric, old, sizeof(int16_t) * states);
    free(spare);
    return 0;
}

/* Follows the survivor that ends in state back to the start: path[0 .. nu + stages - 1]. */
static void trace(const uint16_t *decision, Py_ssize_t stages, int nu, uint32_t state,
                  uint8_t *path)
{
    uint32_t states = 1u << nu;
    for (Py_ssize_t i = stages - 1; i >= 0; i--) {
        path[nu + i] = state & 1;
        uint32_t bit = decision[(i / 16) * states + state] >> (i % 16) & 1;
        state = state >> 1 | bit << (nu - 1);
    }
    for (int j = 0; j < nu; j++) path[j] = state >> (nu - 1 - j) & 1;
}

/* survivor(scores, shift, nu, metric, end, path): see viterbi.py. Buffers are checked there. */
static PyObject *survivor(PyObject *self, PyObject *args)
{
    Py_buffer scores, shift, metric, path;
    int nu, end, failed = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*iw*iw*", &scores, &shift, &nu, &metric, &end, &path))
        return NULL;
    Py_ssize_t stages = scores.len / (RUN * (Py_ssize_t)sizeof(int16_t));
    Py_BEGIN_ALLOW_THREADS
    uint16_t *decision = calloc(((stages + 15) / 16 + 1) << nu, sizeof(uint16_t));
    failed = !decision || search(scores.buf, stages, shift.buf, nu, metric.buf, decision);
    if (!failed) {
        const int16_t *m = metric.buf;
        if (end < 0)
            for (int t = end = 0; t < 1 << nu; t++)
                if (m[t] > m[end]) end = t;
        trace(decision, stages, nu, (uint32_t)end, path.buf);
    }
    free(decision);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&scores);
    PyBuffer_Release(&shift);
    PyBuffer_Release(&metric);
    PyBuffer_Release(&path);
    if (failed) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"survivor", survivor, METH_VARARGS, "Best path through the trellis; see viterbi.py."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_viterbi", NULL, 0, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__viterbi(void) { return PyModule_Create(&module); }
