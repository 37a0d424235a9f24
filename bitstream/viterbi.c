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
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 11
#define SIMD __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define SIMD
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

#define RUN 256       /* words that share one shift */
#define WORD 32       /* decisions in a word */
#define RENORMALISE 8 /* stages between subtractions of metric[0] */

/* One stage for `count` next states, a multiple of WORD and at most RUN: their lower predecessors
 * begin at a, their upper ones at b, whose branches score f and g. */
typedef void Advance(const int16_t *restrict a, const int16_t *restrict b,
                     const int16_t *restrict f, const int16_t *restrict g, int count,
                     int16_t *restrict next, uint32_t *restrict upper);

/* Eight bytes that are 0 or 1 as the bits of one, the first as the lowest. */
static uint8_t packed(const uint8_t *bytes)
{
    uint64_t eight;
    memcpy(&eight, bytes, sizeof eight);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    eight = __builtin_bswap64(eight);
#endif
    return (uint8_t)(eight * 0x0102040810204080u >> 56); /* byte j, times 2^(56 - 7 j), is bit j */
}

static void advance_portable(const int16_t *restrict a, const int16_t *restrict b,
                             const int16_t *restrict f, const int16_t *restrict g, int count,
                             int16_t *restrict next, uint32_t *restrict upper)
{
    int16_t low[RUN], high[RUN];
    uint8_t won[RUN];
    for (int j = 0; j < count / 2; j++) {
        low[2 * j] = low[2 * j + 1] = a[j];
        high[2 * j] = high[2 * j + 1] = b[j];
    }
    for (int t = 0; t < count; t++) {
        int16_t x = low[t] + f[t], y = high[t] + g[t];
        next[t] = y > x ? y : x;
        won[t] = y > x;
    }
    for (int t = 0; t < count; t += WORD) {
        uint32_t word = 0;
        for (int j = 0; j < WORD; j += 8) word |= (uint32_t)packed(won + t + j) << j;
        upper[t / WORD] = word;
    }
}

#if defined(__x86_64__) && defined(__GNUC__)
#define X86
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx512f,avx512bw")))

AVX2 static inline __m256i doubled(const int16_t *x)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)x));
    return _mm256_or_si256(wide, _mm256_slli_epi32(wide, 16));
}

AVX2 INLINE void advance_avx2(const int16_t *restrict a, const int16_t *restrict b,
                              const int16_t *restrict f, const int16_t *restrict g, int count,
                              int16_t *restrict next, uint32_t *restrict upper)
{
    for (int t = 0; t < count; t += WORD) {
        __m256i won[2];
        for (int half = 0; half < 2; half++) {
            int i = t + half * WORD / 2;
            __m256i x = _mm256_loadu_si256((const __m256i *)(f + i));
            __m256i y = _mm256_loadu_si256((const __m256i *)(g + i));
            x = _mm256_add_epi16(x, doubled(a + i / 2));
            y = _mm256_add_epi16(y, doubled(b + i / 2));
            _mm256_storeu_si256((__m256i *)(next + i), _mm256_max_epi16(x, y));
            won[half] = _mm256_cmpgt_epi16(y, x);
        }
        __m256i bytes = _mm256_packs_epi16(won[0], won[1]); /* quarters 0 2 1 3 */
        bytes = _mm256_permute4x64_epi64(bytes, 0xd8);
        upper[t / WORD] = (uint32_t)_mm256_movemask_epi8(bytes);
    }
}

AVX512 INLINE void advance_avx512(const int16_t *restrict a, const int16_t *restrict b,
                                  const int16_t *restrict f, const int16_t *restrict g, int count,
                                  int16_t *restrict next, uint32_t *restrict upper)
{
    static const int16_t pairs[WORD] = {0, 0, 1, 1, 2,  2,  3,  3,  4,  4,  5,  5,  6,  6,  7,  7,
                                        8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15};
    __m512i twice = _mm512_loadu_si512(pairs);
    for (int t = 0; t < count; t += WORD) {
        __m256i low = _mm256_loadu_si256((const __m256i *)(a + t / 2));
        __m256i high = _mm256_loadu_si256((const __m256i *)(b + t / 2));
        __m512i x = _mm512_permutexvar_epi16(twice, _mm512_castsi256_si512(low));
        __m512i y = _mm512_permutexvar_epi16(twice, _mm512_castsi256_si512(high));
        x = _mm512_add_epi16(x, _mm512_loadu_si512(f + t));
        y = _mm512_add_epi16(y, _mm512_loadu_si512(g + t));
        _mm512_storeu_si512(next + t, _mm512_max_epi16(x, y));
        upper[t / WORD] = _mm512_cmpgt_epi16_mask(y, x);
    }
}
#endif

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

/* A stage: scores of all labels, twice; the shifts of words; where the decisions go. */
typedef struct {
    int16_t row[2 * RUN];
    const uint8_t *shift;
    uint32_t *upper;
} Stage;

/* The next states t .. t + count - 1, which do not cross the end of a run. */
INLINE void reach_states(const Stage *s, int states, int t, int count, const int16_t *a,
                         const int16_t *b, int16_t *next, Advance *advance)
{
    const int16_t *f = s->row + t % RUN;
    advance(a, b, f + s->shift[t / RUN], f + s->shift[(t + states) / RUN], count, next,
            s->upper + t / WORD);
}

/* All states of `next` from those of `old`, two stages earlier. */
INLINE void two_stages(const Stage *s, int states, const int16_t *old, int16_t *next,
                       Advance *advance)
{
    int16_t between[RUN];
    for (int t = 0; t < states; t += RUN) {
        for (int half = 0; half < 2; half++) {
            const int16_t *from = old + t / 4 + half * states / 4;
            reach_states(s, states, t / 2 + half * states / 2, RUN / 2, from, from + states / 2,
                         between + half * RUN / 2, advance);
        }
        reach_states(s + 1, states, t, RUN, between, between + RUN / 2, next + t, advance);
    }
}

INLINE void one_stage(const Stage *s, int states, const int16_t *old, int16_t *next,
                      Advance *advance)
{
    for (int t = 0; t < states; t += RUN)
        reach_states(s, states, t, RUN, old + t / 2, old + states / 2 + t / 2, next + t, advance);
}

/* Advances metric through all stages with `spare` as scratch. Decisions of a stage are `apart`
 * words after those of the one before. Returns what the renormalisations have taken away. */
INLINE int64_t forward(const int16_t *scores, Py_ssize_t stages, const uint8_t *shift, int nu,
                       int16_t *metric, int16_t *spare, uint32_t *upper, Py_ssize_t apart,
                       Advance *advance)
{
    int states = 1 << nu;
    int16_t *old = metric, *next = spare;
    int64_t taken = 0;
    Stage s[2];
    for (Py_ssize_t i = 0, n; i < stages; i += n) {
        n = stages - i < 2 ? 1 : 2;
        for (int k = 0; k < n; k++) {
            twice(scores + RUN * (i + k), s[k].row);
            s[k].shift = shift;
            s[k].upper = upper + (i + k) * apart;
        }
        if (n == 2)
            two_stages(s, states, old, next, advance);
        else
            one_stage(s, states, old, next, advance);
        if ((i + n) % RENORMALISE == 0) {
            taken += next[0];
            subtract(next, states, next[0]);
        }
        int16_t *swap = old; old = next; next = swap;
    }
    if (old != metric) memcpy(metric, old, sizeof(int16_t) * states);
    return taken;
}

/* `forward` for every instruction set, so that its inner loop is a part of it. */
typedef int64_t Forward(const int16_t *scores, Py_ssize_t stages, const uint8_t *shift, int nu,
                        int16_t *metric, int16_t *spare, uint32_t *upper, Py_ssize_t apart);

#define FORWARD(name, advance)                                                                    \
    static int64_t name(const int16_t *scores, Py_ssize_t stages, const uint8_t *shift, int nu,   \
                        int16_t *metric, int16_t *spare, uint32_t *upper, Py_ssize_t apart)       \
    {                                                                                             \
        return forward(scores, stages, shift, nu, metric, spare, upper, apart, advance);          \
    }

FORWARD(forward_portable, advance_portable)
#ifdef X86
AVX2 FORWARD(forward_avx2, advance_avx2)
AVX512 FORWARD(forward_avx512, advance_avx512)
#endif

/* Those that this processor can run, the fastest first; NULL after the last. */
static Forward *const *forwards(void)
{
    static Forward *found[4];
    int n = 0;
#ifdef X86
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
        found[n++] = forward_avx512;
    if (__builtin_cpu_supports("avx2")) found[n++] = forward_avx2;
#endif
    found[n++] = forward_portable;
    found[n] = NULL;
    return found;
}

/* One of them by number, or NULL and an exception. */
static Forward *forward_of(int set)
{
    Forward *const *all = forwards();
    for (int i = 0; all[i]; i++)
        if (i == set) return all[i];
    PyErr_Format(PyExc_ValueError, "this processor has no instruction set number %d", set);
    return NULL;
}

/* instruction_sets(): how many there are to choose from; 0 is the fastest. */
static PyObject *instruction_sets(PyObject *self, PyObject *unused)
{
    long n = 0;
    (void)self;
    (void)unused;
    while (forwards()[n]) n++;
    return PyLong_FromLong(n);
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
static void trace(const uint32_t *upper, Py_ssize_t stages, int nu, uint32_t state, uint8_t *path)
{
    Py_ssize_t apart = (1 << nu) / WORD;
    for (Py_ssize_t i = stages - 1; i >= 0; i--) {
        uint32_t won = upper[i * apart + state / WORD] >> (state % WORD) & 1;
        state = state >> 1 | won << (nu - 1);
        path[i] = (uint8_t)(state >> (nu - 1));
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
    uint32_t *upper = malloc(sizeof(uint32_t) * ((1 << nu) / WORD)); /* nobody reads them */
    Forward *forward_of_set = forwards()[0]; /* here, where no other thread fills the list */
    if (spare && upper) {
        Py_BEGIN_ALLOW_THREADS
        if (direction > 0)
            forward_of_set(scores.buf, stages, shift.buf, nu, metric.buf, spare, upper, 0);
        else
            backward(scores.buf, stages, shift.buf, nu, metric.buf, spare);
        Py_END_ALLOW_THREADS
    }
    int failed = !spare || !upper;
    free(spare);
    free(upper);
    PyBuffer_Release(&scores);
    PyBuffer_Release(&shift);
    PyBuffer_Release(&metric);
    if (failed) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

/* ring(scores, shift, nu, seams, lowest, path, set = 0): best path that begins and ends in one of
 * seams. */
static PyObject *ring(PyObject *self, PyObject *args)
{
    Py_buffer scores, shift, seams, path;
    int nu, lowest, set = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*iy*iw*|i", &scores, &shift, &nu, &seams, &lowest, &path, &set))
        return NULL;
    Forward *forward_of_set = forward_of(set);
    Py_ssize_t stages = scores.len / (RUN * (Py_ssize_t)sizeof(int16_t));
    Py_ssize_t apart = (1 << nu) / WORD, trials = seams.len / (Py_ssize_t)sizeof(int32_t);
    int16_t *metric = malloc(sizeof(int16_t) << nu), *spare = malloc(sizeof(int16_t) << nu);
    uint32_t *upper = malloc(sizeof(uint32_t) * stages * apart);
    if (forward_of_set && metric && spare && upper) {
        Py_BEGIN_ALLOW_THREADS
        int64_t best = INT64_MIN;
        for (Py_ssize_t k = 0; k < trials; k++) {
            int32_t seam = ((const int32_t *)seams.buf)[k];
            for (int t = 0; t < 1 << nu; t++) metric[t] = (int16_t)(nu * lowest - 1);
            metric[seam] = 0;
            int64_t total = forward_of_set(scores.buf, stages, shift.buf, nu, metric, spare, upper,
                                           apart);
            total += metric[seam];
            if (total > best) {
                best = total;
                trace(upper, stages, nu, (uint32_t)seam, path.buf);
            }
        }
        Py_END_ALLOW_THREADS
    }
    int failed = !metric || !spare || !upper;
    free(metric);
    free(spare);
    free(upper);
    PyBuffer_Release(&scores);
    PyBuffer_Release(&shift);
    PyBuffer_Release(&seams);
    PyBuffer_Release(&path);
    if (!forward_of_set) return NULL;
    if (failed) return PyErr_NoMemory();
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
