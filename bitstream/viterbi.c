/* Viterbi search of the shift-register trellis in int16: the fast form of viterbi.py.
 *
 * State s holds the last nu path bits; bit b leads to branch word w = 2s + b (nu + 1 bits) and to
 * state w mod 2^nu. The branch scores f[(w + shift[w >> 8]) & 255], so a run of 256 words reads a
 * rotated copy of one row of 256 scores. State t has the predecessors t/2 and t/2 + 2^(nu-1).
 * Decisions are packed over time: bit i % 16 of decision[i / 16][t] tells which predecessor won
 * stage i. Every inner loop runs over independent lanes, so compilers turn it into SIMD.
 *
 * Sizes and the range of the scores, which rules out overflow, are the business of viterbi.py.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 11
#pragma GCC optimize("O3")
#define SIMD __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define SIMD
#endif

#define RUN 256       /* words that share one shift */
#define RENORMALISE 8 /* stages between subtractions of metric[0] */

/* One stage for the 256 next states whose lower predecessors begin at a and upper ones at b. */
SIMD static void advance(const int16_t *restrict a, const int16_t *restrict b,
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

/* One stage backwards for the 128 states whose 256 branch words lead to m and score f. */
SIMD static void retreat(const int16_t *restrict m, const int16_t *restrict f,
                         int16_t *restrict previous)
{
    for (int j = 0; j < RUN / 2; j++) {
        int16_t x = m[2 * j] + f[2 * j], y = m[2 * j + 1] + f[2 * j + 1];
        previous[j] = y > x ? y : x;
    }
}

SIMD static void subtract(int16_t *metric, int states, int16_t offset)
{
    for (int t = 0; t < states; t++) metric[t] -= offset;
}

static void twice(const int16_t *row, int16_t *out)
{
    memcpy(out, row, sizeof(int16_t) * RUN);
    memcpy(out + RUN, row, sizeof(int16_t) * RUN);
}

/* Advances metric through all stages with `spare` as scratch; decision has `rows` rows, the last
 * of which survive. Returns what the renormalisations have taken away. */
static int64_t forward(const int16_t *scores, Py_ssize_t stages, const uint8_t *shift, int nu,
                       int16_t *metric, int16_t *spare, uint16_t *decision, Py_ssize_t rows)
{
    int states = 1 << nu, runs = states / RUN;
    int16_t *old = metric, *next = spare, row[2 * RUN];
    int64_t taken = 0;
    for (Py_ssize_t i = 0; i < stages; i++) {
        uint16_t *d = decision + (i / 16 % rows) * states, bit = (uint16_t)(1u << (i % 16));
        if (i % 16 == 0) memset(d, 0, sizeof(uint16_t) * states);
        twice(scores + RUN * i, row);
        for (int r = 0; r < runs; r++)
            advance(old + r * (RUN / 2), old + states / 2 + r * (RUN / 2), row + shift[r],
                    row + shift[runs + r], next + r * RUN, d + r * RUN, bit);
        if (i % RENORMALISE == RENORMALISE - 1) {
            taken += next[0];
            subtract(next, states, next[0]);
        }
        int16_t *swap = old; old = next; next = swap;
    }
    if (old != metric) memcpy(metric, old, sizeof(int16_t) * states);
    return taken;
}

/* Takes metric back through all stages, the last one first. */
static void backward(const int16_t *scores, Py_ssize_t stages, const uint8_t *shift, int nu,
                     int16_t *metric, int16_t *spare)
{
    int states = 1 << nu, runs = states / RUN;
    int16_t *old = metric, *next = spare, row[2 * RUN];
    for (Py_ssize_t i = stages - 1; i >= 0; i--) {
        twice(scores + RUN * i, row);
        for (int r = 0; r < 2 * runs; r++)
            retreat(old + (r % runs) * RUN, row + shift[r], next + r * (RUN / 2));
        if (i % RENORMALISE == RENORMALISE - 1) subtract(next, states, next[0]);
        int16_t *swap = old; old = next; next = swap;
    }
    if (old != metric) memcpy(metric, old, sizeof(int16_t) * states);
}

/* Follows the survivor that ends in state back to the start. */
static void trace(const uint16_t *decision, Py_ssize_t stages, int nu, uint32_t state,
                  uint8_t *path)
{
    for (Py_ssize_t i = stages - 1; i >= 0; i--) {
        uint32_t upper = decision[((i / 16) << nu) + state] >> (i % 16) & 1;
        state = state >> 1 | upper << (nu - 1);
        path[i] = state >> (nu - 1);
    }
}

/* A row of 256 products, whole numbers below 2^24, to scores: the best is 0, then divided by
 * 2^down, rounded down, and none below lowest. */
SIMD static void rescale(const float *restrict product, int down, int lowest,
                         int16_t *restrict score)
{
    int32_t whole[RUN], best = INT32_MIN, limit = -(-lowest << down);
    for (int t = 0; t < RUN; t++) whole[t] = (int32_t)product[t];
    for (int t = 0; t < RUN; t++) best = whole[t] > best ? whole[t] : best;
    for (int t = 0; t < RUN; t++) {
        int32_t below = whole[t] - best;
        score[t] = (int16_t)((below > limit ? below : limit) >> down);
    }
}

/* scores(products, down, lowest, out): see viterbi.py. */
static PyObject *scores_of(PyObject *self, PyObject *args)
{
    Py_buffer products, out;
    int down, lowest;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iiw*", &products, &down, &lowest, &out)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < out.len / (Py_ssize_t)sizeof(int16_t); i += RUN)
        rescale((const float *)products.buf + i, down, lowest, (int16_t *)out.buf + i);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&products);
    PyBuffer_Release(&out);
    Py_RETURN_NONE;
}

/* reach(scores, shift, nu, direction, metric): metric after all stages, in place. */
static PyObject *reach(PyObject *self, PyObject *args)
{
    Py_buffer scores, shift, metric;
    int nu, direction;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*iiw*", &scores, &shift, &nu, &direction, &metric))
        return NULL;
    Py_ssize_t stages = scores.len / (RUN * (Py_ssize_t)sizeof(int16_t));
    int16_t *spare = malloc(sizeof(int16_t) << nu);
    uint16_t *decision = malloc(sizeof(uint16_t) << nu);
    if (spare && decision) {
        Py_BEGIN_ALLOW_THREADS
        if (direction > 0)
            forward(scores.buf, stages, shift.buf, nu, metric.buf, spare, decision, 1);
        else
            backward(scores.buf, stages, shift.buf, nu, metric.buf, spare);
        Py_END_ALLOW_THREADS
    }
    int failed = !spare || !decision;
    free(spare);
    free(decision);
    PyBuffer_Release(&scores);
    PyBuffer_Release(&shift);
    PyBuffer_Release(&metric);
    if (failed) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

/* ring(scores, shift, nu, seams, lowest, path): best path that begins and ends in one of seams. */
static PyObject *ring(PyObject *self, PyObject *args)
{
    Py_buffer scores, shift, seams, path;
    int nu, lowest;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*iy*iw*", &scores, &shift, &nu, &seams, &lowest, &path))
        return NULL;
    Py_ssize_t stages = scores.len / (RUN * (Py_ssize_t)sizeof(int16_t));
    Py_ssize_t rows = (stages + 15) / 16, trials = seams.len / (Py_ssize_t)sizeof(int32_t);
    int16_t *metric = malloc(sizeof(int16_t) << nu), *spare = malloc(sizeof(int16_t) << nu);
    uint16_t *decision = malloc((sizeof(uint16_t) * rows) << nu);
    if (metric && spare && decision) {
        Py_BEGIN_ALLOW_THREADS
        int64_t best = INT64_MIN;
        for (Py_ssize_t k = 0; k < trials; k++) {
            int32_t seam = ((const int32_t *)seams.buf)[k];
            for (int t = 0; t < 1 << nu; t++) metric[t] = (int16_t)(nu * lowest - 1);
            metric[seam] = 0;
            int64_t total = forward(scores.buf, stages, shift.buf, nu, metric, spare, decision,
                                    rows) + metric[seam];
            if (total > best) {
                best = total;
                trace(decision, stages, nu, (uint32_t)seam, path.buf);
            }
        }
        Py_END_ALLOW_THREADS
    }
    int failed = !metric || !spare || !decision;
    free(metric);
    free(spare);
    free(decision);
    PyBuffer_Release(&scores);
    PyBuffer_Release(&shift);
    PyBuffer_Release(&seams);
    PyBuffer_Release(&path);
    if (failed) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"scores", scores_of, METH_VARARGS, "Scores of branches from their products."},
    {"reach", reach, METH_VARARGS, "Best metric of every state after, or before, some stages."},
    {"ring", ring, METH_VARARGS, "Best cyclic path through one of the given seam states."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_viterbi", NULL, 0, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__viterbi(void) { return PyModule_Create(&module); }
