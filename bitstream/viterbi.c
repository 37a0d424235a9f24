/* Viterbi search of the shift-register trellis in int16: the fast form of viterbi.py.
 *
 * State s holds the last nu path bits; bit b leads to branch word w = 2s + b (nu + 1 bits) and to
 * state w mod 2^nu. The branch scores f[(w + shift[w >> 8]) & 255], so a run of 256 words reads a
 * rotated copy of one row of 256 scores. State t has the predecessors t/2 and t/2 + 2^(nu-1); a
 * bit for each says whether the upper one won. Stages are taken two at a time, so that the metrics
 * between them stay in the nearest cache: memory is what the search waits for.
 *
 * Sizes and the range of the scores, which rules out overflow, are the business of viterbi.py.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif
#include "advance.h"

#include "clones.h"

#define RENORMALISE 8 /* stages between subtractions of metric[0] */

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

/* What a search is about, and its memory. */
typedef struct {
    const int16_t *scores; /* (stages, RUN) */
    Py_ssize_t stages;
    const uint8_t *shift; /* of words, by what is above their low byte */
    int nu;
    int16_t *metric, *spare; /* of every state */
    uint32_t *upper;         /* decisions; those of a stage are `apart` words after the last */
    Py_ssize_t apart;
} Search;

/* A stage: scores of all labels, twice; where the decisions go. */
typedef struct {
    int16_t row[2 * RUN];
    uint32_t *upper;
} Stage;

/* The next states t .. t + count - 1, which do not cross the end of a run. */
INLINE void reach_states(const Search *search, const Stage *stage, int t, int count,
                         const int16_t *a, const int16_t *b, int16_t *next, Advance *advance)
{
    const int16_t *f = stage->row + t % RUN;
    const uint8_t *lower = search->shift + t / RUN, *higher = lower + (1 << search->nu) / RUN;
    advance(a, b, f + *lower, f + *higher, count, next, stage->upper + t / WORD);
}

/* All states of `next` from those of `old`, two stages earlier. */
INLINE void two_stages(const Search *search, const Stage *stage, const int16_t *old,
                       int16_t *next, Advance *advance)
{
    int states = 1 << search->nu;
    int16_t between[RUN];
    for (int t = 0; t < states; t += RUN) {
        for (int half = 0; half < 2; half++) {
            const int16_t *from = old + t / 4 + half * states / 4;
            reach_states(search, stage, t / 2 + half * states / 2, RUN / 2, from,
                         from + states / 2, between + half * RUN / 2, advance);
        }
        reach_states(search, stage + 1, t, RUN, between, between + RUN / 2, next + t, advance);
    }
}

INLINE void one_stage(const Search *search, const Stage *stage, const int16_t *old,
                      int16_t *next, Advance *advance)
{
    int states = 1 << search->nu;
    for (int t = 0; t < states; t += RUN)
        reach_states(search, stage, t, RUN, old + t / 2, old + states / 2 + t / 2, next + t,
                     advance);
}

/* Advances the metric through all stages. Returns what the renormalisations have taken away. */
INLINE int64_t forward(const Search *search, Advance *advance)
{
    int states = 1 << search->nu;
    int16_t *old = search->metric, *next = search->spare;
    int64_t taken = 0;
    Stage stage[2];
    for (Py_ssize_t i = 0, n; i < search->stages; i += n) {
        n = search->stages - i < 2 ? 1 : 2;
        for (int k = 0; k < n; k++) {
            twice(search->scores + RUN * (i + k), stage[k].row);
            stage[k].upper = search->upper + (i + k) * search->apart;
        }
        if (n == 2)
            two_stages(search, stage, old, next, advance);
        else
            one_stage(search, stage, old, next, advance);
        if ((i + n) % RENORMALISE == 0) {
            taken += next[0];
            subtract(next, states, next[0]);
        }
        int16_t *swap = old; old = next; next = swap;
    }
    if (old != search->metric) memcpy(search->metric, old, sizeof(int16_t) * states);
    return taken;
}

/* `forward` for every instruction set, so that its inner loop is a part of it. */
typedef int64_t Forward(const Search *search);

static int64_t forward_portable(const Search *search)
{
    return forward(search, advance_portable);
}
#ifdef X86
AVX2 static int64_t forward_avx2(const Search *search)
{
    return forward(search, advance_avx2);
}

AVX512 static int64_t forward_avx512(const Search *search)
{
    return forward(search, advance_avx512);
}
#endif

#include "instruction_sets.h"

/* Takes the metric back through all stages, the last one first. */
static void backward(const Search *search)
{
    int states = 1 << search->nu, runs = states / RUN;
    int16_t *old = search->metric, *next = search->spare, row[2 * RUN];
    for (Py_ssize_t i = search->stages - 1; i >= 0; i--) {
        twice(search->scores + RUN * i, row);
        for (int r = 0; r < 2 * runs; r++)
            retreat(old + (r % runs) * RUN, row + search->shift[r], next + r * (RUN / 2));
        if (i % RENORMALISE == RENORMALISE - 1) subtract(next, states, next[0]);
        int16_t *swap = old; old = next; next = swap;
    }
    if (old != search->metric) memcpy(search->metric, old, sizeof(int16_t) * states);
}

/* Follows the survivor that ends in state back to the start. */
static void trace(const Search *search, uint32_t state, uint8_t *path)
{
    for (Py_ssize_t i = search->stages - 1; i >= 0; i--) {
        uint32_t won = search->upper[i * search->apart + state / WORD] >> (state % WORD) & 1;
        state = state >> 1 | won << (search->nu - 1);
        path[i] = (uint8_t)(state >> (search->nu - 1));
    }
}

/* Memory for the search of a path, and for decisions of so many stages; 0 if there is none. */
static int reserve(Search *search, Py_ssize_t stages)
{
    size_t states = (size_t)1 << search->nu, words = states / WORD;
    if ((size_t)stages > PTRDIFF_MAX / sizeof(uint32_t) / words) return 0;
    search->metric = malloc(sizeof(int16_t) * states);
    search->spare = malloc(sizeof(int16_t) * states);
    search->upper = malloc(sizeof(uint32_t) * stages * words);
    return search->metric && search->spare && search->upper;
}

static void release(Search *search)
{
    free(search->metric);
    free(search->spare);
    free(search->upper);
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
    Search search = {.scores = scores.buf, .shift = shift.buf, .nu = nu, .apart = 0};
    search.stages = scores.len / (RUN * (Py_ssize_t)sizeof(int16_t));
    Forward *forward_by = forwards()[0]; /* here, where no other thread fills the list */
    int ready = reserve(&search, 1);     /* nobody reads the decisions */
    if (ready) {
        Py_BEGIN_ALLOW_THREADS
        memcpy(search.metric, metric.buf, sizeof(int16_t) << nu);
        if (direction > 0)
            forward_by(&search);
        else
            backward(&search);
        memcpy(metric.buf, search.metric, sizeof(int16_t) << nu);
        Py_END_ALLOW_THREADS
    }
    release(&search);
    PyBuffer_Release(&scores);
    PyBuffer_Release(&shift);
    PyBuffer_Release(&metric);
    if (!ready) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

/* The best of the paths that begin and end in one of the seams. */
static void best_ring(const Search *search, const int32_t *seams, Py_ssize_t trials, int lowest,
                      Forward *forward_by, uint8_t *path)
{
    int64_t best = INT64_MIN;
    for (Py_ssize_t k = 0; k < trials; k++) {
        for (int t = 0; t < 1 << search->nu; t++)
            search->metric[t] = (int16_t)(search->nu * lowest - 1);
        search->metric[seams[k]] = 0;
        int64_t total = forward_by(search);
        total += search->metric[seams[k]];
        if (total > best) {
            best = total;
            trace(search, (uint32_t)seams[k], path);
        }
    }
}

/* ring(scores, shift, nu, seams, lowest, path, set = 0): see best_ring. */
static PyObject *ring(PyObject *self, PyObject *args)
{
    Py_buffer scores, shift, seams, path;
    int nu, lowest, set = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*iy*iw*|i", &scores, &shift, &nu, &seams, &lowest, &path, &set))
        return NULL;
    Search search = {.scores = scores.buf, .shift = shift.buf, .nu = nu, .apart = (1 << nu) / WORD};
    search.stages = scores.len / (RUN * (Py_ssize_t)sizeof(int16_t));
    Forward *forward_by = forward_of(set);
    int ready = reserve(&search, search.stages);
    if (forward_by && ready) {
        Py_BEGIN_ALLOW_THREADS
        best_ring(&search, seams.buf, seams.len / (Py_ssize_t)sizeof(int32_t), lowest, forward_by,
                  path.buf);
        Py_END_ALLOW_THREADS
    }
    release(&search);
    PyBuffer_Release(&scores);
    PyBuffer_Release(&shift);
    PyBuffer_Release(&seams);
    PyBuffer_Release(&path);
    if (!forward_by) return NULL;
    if (!ready) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"instruction_sets", instruction_sets, METH_NOARGS, "How many `ring` can choose from."},
    {"scores", scores_of, METH_VARARGS, "Scores of branches from their products."},
    {"reach", reach, METH_VARARGS, "Best metric of every state after, or before, some stages."},
    {"ring", ring, METH_VARARGS, "Best cyclic path through one of the given seam states."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_viterbi", NULL, 0, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__viterbi(void) { return PyModule_Create(&module); }
