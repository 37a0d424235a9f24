/* Search of the butterfly trellis with metrics of one byte: the fast form of butterfly_search.py.
 *
 * State s holds the last nu path bits. State j and state j + 2^(nu-1) lead to 2j and 2j + 1 by
 * branches with one label, (j + shift[j >> 8]) & 255 for its low byte, of opposite signs
 * (saturating.h). An offset in the scores keeps the best metric near TARGET; what falls below -128
 * was out of the race. Sizes are the business of butterfly_search.py.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3,fp-contract=off") /* or `fold` rounds once where numpy does twice */
#endif
#include "saturating.h"

#if defined(__GNUC__) && !defined(__clang__)
#define NOT_UNROLLED _Pragma("GCC unroll 1") /* or it becomes scalars before it becomes vectors */
#else
#define NOT_UNROLLED
#endif
#include "clones.h"

#define COLUMNS 256   /* of a label; a stage with more coordinates repeats them */
#define TARGET 70     /* of the best metric */
#define PERIOD 4      /* stages between looks at it */
#define FIRST_GAIN 54 /* what a period adds to it, to begin with */
#define DEPTH 1024    /* stages after which survivors have one ancestor, for all that matters */
#define MOST 127      /* folded coordinates, so that a sum of 256 fits in 16 bits */

/* --- scores ------------------------------------------------------------------------------------ */

/* The coordinates of a stage, times unit and rounded (ties to even), summed by column; how many
 * columns there are. */
SIMD static int fold(const float *restrict v, Py_ssize_t count, float unit,
                     int16_t *restrict folded)
{
    const float whole = 12582912; /* 1.5 * 2^23: what is added to it loses its fraction */
    float sum[COLUMNS] = {0};
    for (Py_ssize_t at = 0; at < count; at += COLUMNS) {
        int here = count - at < COLUMNS ? (int)(count - at) : COLUMNS;
        for (int c = 0; c < here; c++) sum[c] += (v[at + c] * unit + whole) - whole;
    }
    int columns = count < COLUMNS ? (int)count : COLUMNS;
    for (int c = 0; c < columns; c++)
        folded[c] = (int16_t)(sum[c] > MOST ? MOST : sum[c] > -MOST ? sum[c] : -MOST); /* or NaN */
    return columns;
}

/* Sums and differences, in place. */
INLINE void cross(int16_t *restrict low, int16_t *restrict high, int count)
{
    NOT_UNROLLED
    for (int i = 0; i < count; i++) {
        int16_t u = low[i], v = high[i];
        low[i] = (int16_t)(u + v);
        high[i] = (int16_t)(u - v);
    }
}

/* Correlations of a stage with its labels (row, group): every group's mask, then a Walsh-Hadamard
 * transform along the rows. A constant order lets the compiler unroll it. */
INLINE void correlate(const int16_t *restrict folded, int columns, const int8_t *restrict masks,
                      int order, int16_t *restrict x)
{
    int groups = LABELS / order;
    memset(x, 0, sizeof(int16_t) * LABELS);
    for (int c = 0; c < columns; c++) {
        int16_t *row = x + c % order * groups;
        NOT_UNROLLED
        for (int g = 0; g < groups; g++)
            row[g] += (int16_t)(folded[c] * masks[c * groups + g]);
    }
    for (int half = groups; half < LABELS; half *= 2)
        for (int at = 0; at < LABELS; at += 2 * half) cross(x + at, x + at + half, half);
}

/* Scores of the labels with sign +1, then of those with -1: correlations times factor / 2^15. */
SIMD static void score(const int16_t *restrict folded, int columns, const int8_t *restrict masks,
                       int order, int factor, int8_t *restrict out)
{
    int16_t x[LABELS];
    if (order == 16)
        correlate(folded, columns, masks, 16, x);
    else if (order == 8)
        correlate(folded, columns, masks, 8, x);
    else
        correlate(folded, columns, masks, 4, x);
    for (int i = 0; i < LABELS; i++) {
        int scaled = (x[i] * factor + (1 << 14)) >> 15;
        scaled = scaled > 127 ? 127 : scaled < -127 ? -127 : scaled;
        out[i] = (int8_t)scaled;
        out[LABELS + i] = (int8_t)-scaled;
    }
}

/* scores(v, edges, masks, order, unit, factor, out): see butterfly_search.py. */
static PyObject *scores_of(PyObject *self, PyObject *args)
{
    Py_buffer v, edges, masks, out;
    int order, factor;
    float unit;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*ifiw*", &v, &edges, &masks, &order, &unit, &factor, &out))
        return NULL;
    const int64_t *edge = edges.buf;
    Py_ssize_t stages = out.len / (2 * LABELS);
    int fits = (order == 4 || order == 8 || order == 16) &&
               masks.len == COLUMNS * (LABELS / order) && edges.len == 8 * (stages + 1) &&
               edge[stages] * (int64_t)sizeof(float) <= v.len;
    if (!fits) stages = 0;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < stages; i++) {
        int16_t folded[COLUMNS];
        int columns = fold((const float *)v.buf + edge[i], edge[i + 1] - edge[i], unit, folded);
        score(folded, columns, masks.buf, order, factor, (int8_t *)out.buf + 2 * LABELS * i);
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&v);
    PyBuffer_Release(&edges);
    PyBuffer_Release(&masks);
    PyBuffer_Release(&out);
    if (!fits) return PyErr_Format(PyExc_ValueError, "the arrays' sizes do not agree");
    Py_RETURN_NONE;
}

/* --- search ------------------------------------------------------------------------------------ */

/* What a search is about, where it stands, and its memory. */
typedef struct {
    const int8_t *scores; /* (stages, 2, LABELS): plus, then minus */
    Py_ssize_t stages;
    const uint8_t *shift; /* of labels, by what is above the low byte of the lower state */
    int nu, states;
    int8_t *metric, *spare; /* of every state */
    uint64_t *upper;        /* decisions of the last 2 DEPTH stages, states / WORD words each */
    int top, gain;          /* the best metric when it was looked at, and what a period adds */
} Search;

SIMD static int highest(const int8_t *metric, int states)
{
    int8_t most = -128;
    for (int t = 0; t < states; t++) most = metric[t] > most ? metric[t] : most;
    return most;
}

/* Scores plus an offset, twice, so that any rotation of them can be read. */
SIMD static void shifted(const int8_t *restrict scores, int offset, int8_t *restrict row)
{
    for (int i = 0; i < LABELS; i++) {
        int x = scores[i] + offset;
        row[i] = row[LABELS + i] = (int8_t)(x > 127 ? 127 : x < -128 ? -128 : x);
    }
}

INLINE void stage(Search *search, const int8_t *scores, int offset, uint64_t *upper,
                  Advance *advance)
{
    int8_t plus[2 * LABELS], minus[2 * LABELS];
    int half = search->states / 2, run = half < LABELS ? half : LABELS;
    const int8_t *a = search->metric, *b = a + half;
    shifted(scores, offset, plus);
    shifted(scores + LABELS, offset, minus);
    for (int j = 0; j < half; j += run) {
        int rotation = search->shift[j / LABELS];
        advance(a + j, b + j, plus + rotation, minus + rotation, run, search->spare + 2 * j,
                upper + 2 * (j / WORD));
    }
    int8_t *swap = search->metric; search->metric = search->spare; search->spare = swap;
}

/* Advances the metric through `count` stages of the ring from `first` on. The decisions of the
 * stage with number i since the call lie at i modulo 2 DEPTH, counted from `number`. */
INLINE void forward(Search *search, Py_ssize_t first, Py_ssize_t count, Py_ssize_t number,
                    Advance *advance)
{
    int missing = TARGET - search->top - search->gain;
    for (Py_ssize_t i = 0; i < count; i++) {
        int phase = (int)(i % PERIOD);
        int offset = (missing * (phase + 1) >> 2) - (missing * phase >> 2);
        Py_ssize_t slot = (number + i) % (2 * DEPTH);
        stage(search, search->scores + 2 * LABELS * ((first + i) % search->stages), offset,
              search->upper + slot * (search->states / WORD), advance);
        if (phase == PERIOD - 1) {
            int top = highest(search->metric, search->states);
            search->gain += (top - search->top - missing - search->gain) >> 2;
            search->top = top;
            missing = TARGET - search->top - search->gain;
        }
    }
}

typedef void Forward(Search *search, Py_ssize_t first, Py_ssize_t count, Py_ssize_t number);

static void forward_portable(Search *search, Py_ssize_t first, Py_ssize_t count, Py_ssize_t number)
{
    forward(search, first, count, number, advance_portable);
}
#ifdef X86
AVX2 static void forward_avx2(Search *search, Py_ssize_t first, Py_ssize_t count,
                              Py_ssize_t number)
{
    forward(search, first, count, number, advance_avx2);
}

AVX512 static void forward_avx512(Search *search, Py_ssize_t first, Py_ssize_t count,
                                  Py_ssize_t number)
{
    forward(search, first, count, number, advance_avx512);
}
#endif

#include "instruction_sets.h"

static uint32_t best_state(const Search *search)
{
    int most = highest(search->metric, search->states);
    uint32_t state = 0;
    while (search->metric[state] != most) state++;
    return state;
}

/* The state before the stage with this number, on the path that won in `state`. */
static uint32_t before(const Search *search, uint32_t state, Py_ssize_t number)
{
    const uint64_t *upper =
        search->upper + number % (2 * DEPTH) * (search->states / WORD);
    uint32_t j = state >> 1;
    uint64_t won = upper[2 * (j / WORD) + (state & 1)] >> (j % WORD) & 1;
    return j | (uint32_t)won << (search->nu - 1);
}

/* Follows the survivor that ends in state after `end` stages back to stage `begin`; returns its
 * state there. */
static uint32_t state_before(const Search *search, uint32_t state, Py_ssize_t end,
                             Py_ssize_t begin)
{
    for (Py_ssize_t i = end - 1; i >= begin; i--) state = before(search, state, i);
    return state;
}

/* Likewise, and the path's bits on the way; stages are counted from the seam. */
static uint32_t trace(const Search *search, uint32_t state, Py_ssize_t end, Py_ssize_t begin,
                      Py_ssize_t seam, uint8_t *path)
{
    for (Py_ssize_t i = end - 1; i >= begin; i--) {
        state = before(search, state, i);
        path[(seam + i) % search->stages] = (uint8_t)(state >> (search->nu - 1));
    }
    return state;
}

/* The state at the seam on the path that looks best from 4 nu stages on either side. */
static uint32_t likely_state(Search *search, Py_ssize_t seam, Forward *forward_by)
{
    Py_ssize_t window = 4 * search->nu, n = search->stages;
    memset(search->metric, 0, (size_t)search->states);
    search->top = 0;
    search->gain = FIRST_GAIN;
    forward_by(search, ((seam - window) % n + n) % n, window, 0);
    forward_by(search, seam, window, 0);
    return state_before(search, best_state(search), window, 0);
}

/* The best path from that state at the seam around the ring and back to it. Bits are final once
 * DEPTH stages have followed, which bounds the memory of decisions. Returns whether it is one path:
 * after a bad guess, or where survivors had no common ancestor, its parts do not meet. */
static int ring_from(Search *search, Py_ssize_t seam, Forward *forward_by, uint8_t *path)
{
    uint32_t state = likely_state(search, seam, forward_by), reached = state;
    Py_ssize_t done = 0, known = 0;
    int meets = 1;
    memset(search->metric, -128, (size_t)search->states);
    search->metric[state] = search->top = TARGET;
    while (search->stages - done > DEPTH) {
        forward_by(search, seam + done, DEPTH, done);
        done += DEPTH;
        if (done - known == 2 * DEPTH) {
            uint32_t ancestor = state_before(search, best_state(search), done, known + DEPTH);
            meets &= trace(search, ancestor, known + DEPTH, known, seam, path) == reached;
            known += DEPTH;
            reached = ancestor;
        }
    }
    /* The buffer holds 2 DEPTH stages: DEPTH and less that are open, and those that come now. */
    forward_by(search, seam + done, search->stages - done, done);
    return meets & (trace(search, state, search->stages, known, seam, path) == reached);
}

/* Bytes that a search works in: decisions, then metrics. */
static Py_ssize_t workspace(int nu)
{
    return (Py_ssize_t)sizeof(uint64_t) * 2 * DEPTH * ((1 << nu) / WORD) + (2 << nu);
}

/* workspace(nu): how many bytes `ring` needs. */
static PyObject *workspace_of(PyObject *self, PyObject *args)
{
    int nu;
    (void)self;
    if (!PyArg_ParseTuple(args, "i", &nu)) return NULL;
    return PyLong_FromSsize_t(workspace(nu));
}

/* ring(scores, shift, nu, seam, path, memory, set = 0): see ring_from. */
static PyObject *ring(PyObject *self, PyObject *args)
{
    Py_buffer scores, shift, path, memory;
    Search search = {0};
    int set = 0, meets = 0;
    Py_ssize_t seam;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*inw*w*|i", &scores, &shift, &search.nu, &seam, &path, &memory,
                          &set))
        return NULL;
    search.scores = scores.buf;
    search.stages = scores.len / (2 * LABELS);
    search.shift = shift.buf;
    Forward *forward_by = forward_of(set);
    int enough = search.nu >= 8 && search.nu <= 18 && memory.len >= workspace(search.nu) &&
                 shift.len >= 1 << (search.nu - 7) && path.len == search.stages && path.len;
    if (forward_by && enough) {
        search.states = 1 << search.nu;
        search.upper = memory.buf;
        search.metric = (int8_t *)(search.upper + 2 * DEPTH * (search.states / WORD));
        search.spare = search.metric + search.states;
        Py_BEGIN_ALLOW_THREADS
        meets = ring_from(&search, seam, forward_by, path.buf);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&scores);
    PyBuffer_Release(&shift);
    PyBuffer_Release(&path);
    PyBuffer_Release(&memory);
    if (!forward_by) return NULL;
    if (!enough) return PyErr_Format(PyExc_ValueError, "the arrays' sizes do not agree");
    return PyBool_FromLong(meets);
}

static PyMethodDef methods[] = {
    {"instruction_sets", instruction_sets, METH_NOARGS, "How many `ring` can choose from."},
    {"workspace", workspace_of, METH_VARARGS, "How many bytes of memory `ring` needs."},
    {"scores", scores_of, METH_VARARGS, "Scores of all labels at every stage."},
    {"ring", ring, METH_VARARGS, "Best cyclic path from a likely state at the seam."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_butterfly", NULL, 0, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__butterfly(void) { return PyModule_Create(&module); }
