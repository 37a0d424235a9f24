/* Pushing and popping of Gaussian symbols: the fast form of ans.py, bit for bit.
 *
 * Symbol i is in lane i mod lanes. Cumulative frequencies come from one grid (gaussian.py):
 * C(s) = grid[clip(64 s + shift)] + s, but C(0) = 0 and C(n) = 2^24. Sizes are the business of
 * ans.py; the words array has room for one word a symbol.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

#define PHASES 64
#define PRECISION 24
#define HINT 12

typedef struct {
    const uint32_t *grid;
    int64_t last; /* index of the last entry */
    int64_t n;
} Table;

static inline uint64_t lower(const Table *t, int64_t shift, int64_t s)
{
    if (s <= 0) return 0;
    if (s >= t->n) return (uint64_t)1 << PRECISION;
    int64_t i = PHASES * s + shift;
    i = i < 0 ? 0 : i > t->last ? t->last : i;
    return t->grid[i] + (uint64_t)s;
}

static Py_ssize_t push_all(const Table *t, const int32_t *shift, const int32_t *symbol,
                           Py_ssize_t size, uint64_t *states, Py_ssize_t lanes, uint32_t *words,
                           Py_ssize_t count)
{
    Py_ssize_t lane = size ? (size - 1) % lanes : 0;
    for (Py_ssize_t i = size - 1; i >= 0; i--) {
        uint64_t low = lower(t, shift[i], symbol[i]);
        uint64_t freq = lower(t, shift[i], symbol[i] + (int64_t)1) - low, x = states[lane];
        if (x >> (64 - PRECISION) >= freq) {
            words[count++] = (uint32_t)x;
            x >>= 32;
        }
        uint64_t q = x / freq;
        states[lane] = (q << PRECISION) + (x - q * freq) + low;
        lane = lane ? lane - 1 : lanes - 1;
    }
    return count;
}

static Py_ssize_t pop_all(const Table *t, const int32_t *hint, const int32_t *shift,
                          int32_t *symbol, Py_ssize_t size, uint64_t *states, Py_ssize_t lanes,
                          const uint32_t *words, Py_ssize_t count)
{
    Py_ssize_t lane = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        uint64_t x = states[lane], slot = x & (((uint64_t)1 << PRECISION) - 1);
        int64_t s = ((int64_t)hint[slot >> (PRECISION - HINT)] - shift[i]) / PHASES;
        s = s < 0 ? 0 : s >= t->n ? t->n - 1 : s;
        uint64_t low = lower(t, shift[i], s), high;
        while (low > slot) low = lower(t, shift[i], --s);
        while ((high = lower(t, shift[i], s + 1)) <= slot) {
            low = high;
            s++;
        }
        x = (high - low) * (x >> PRECISION) + slot - low;
        if (!(x >> 32)) {
            if (!count) return -1;
            x = x << 32 | words[--count];
        }
        states[lane] = x;
        symbol[i] = (int32_t)s;
        lane = lane + 1 == lanes ? 0 : lane + 1;
    }
    return count;
}

/* push(grid, n, shift, symbols, states, words, count): the new count. */
static PyObject *push(PyObject *self, PyObject *args)
{
    Py_buffer grid, shift, symbol, states, words;
    Py_ssize_t n, count;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*ny*y*w*w*n", &grid, &n, &shift, &symbol, &states, &words,
                          &count))
        return NULL;
    Table t = {grid.buf, grid.len / 4 - 1, n};
    Py_BEGIN_ALLOW_THREADS
    count = push_all(&t, shift.buf, symbol.buf, shift.len / 4, states.buf, states.len / 8,
                     words.buf, count);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&grid);
    PyBuffer_Release(&shift);
    PyBuffer_Release(&symbol);
    PyBuffer_Release(&states);
    PyBuffer_Release(&words);
    return PyLong_FromSsize_t(count);
}

/* pop(grid, hint, n, shift, symbols, states, words, count): the new count, -1: no words left. */
static PyObject *pop(PyObject *self, PyObject *args)
{
    Py_buffer grid, hint, shift, symbol, states, words;
    Py_ssize_t n, count;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*ny*w*w*y*n", &grid, &hint, &n, &shift, &symbol, &states,
                          &words, &count))
        return NULL;
    Table t = {grid.buf, grid.len / 4 - 1, n};
    Py_BEGIN_ALLOW_THREADS
    count = pop_all(&t, hint.buf, shift.buf, symbol.buf, shift.len / 4, states.buf,
                    states.len / 8, words.buf, count);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&grid);
    PyBuffer_Release(&hint);
    PyBuffer_Release(&shift);
    PyBuffer_Release(&symbol);
    PyBuffer_Release(&states);
    PyBuffer_Release(&words);
    return PyLong_FromSsize_t(count);
}

static PyMethodDef methods[] = {
    {"push", push, METH_VARARGS, "Push symbols; returns the number of words."},
    {"pop", pop, METH_VARARGS, "Pop symbols; returns the number of words, -1 if they ran out."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_ans", NULL, 0, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__ans(void) { return PyModule_Create(&module); }
