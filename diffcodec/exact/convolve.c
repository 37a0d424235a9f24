/* Layers of the integer network: the fast form of reference.py, bit for bit.
 *
 * Products are summed in int32 with the best instructions the processor has (layer.h, tile.h,
 * amx.h). The exporter proves that the modulus of every sum, in any order, stays below 2^31, and
 * no activation is -32768; so nothing wraps, also not in the pairs of products that vpmaddwd and
 * vpdpwssd add.
 *
 * Weights are int16 in blocks of BLOCK output channels, the last of what remains, rounded up to
 * LANES; in a block [ky][kx][pair of input channels][output channel][2], or for "portable"
 * [ky][kx][input channel][output channel]. The input channels are rounded up to an even number.
 * For "amx" blocks are of LANES channels, [ky][chunk of 64 input channels][kx][upper bytes, lower
 * bytes][16][output channel][4], filled up with zeros to whole chunks.
 * The bias includes one half of what the shift takes away; bias and shift are int32, the bias with
 * room for whole blocks. Sizes, and which streams may share memory, are the business of packed.py.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

#include "layer.h"
#include "windows.h"

/* The instruction sets: a tile each, and everything above compiled for it as well. */

/* Two pixels by LANES channels. Written so that compilers see vectors: an array for each pixel, in
 * a function where nothing else is going on; this is four times as fast as one loop in another. */
static void row_portable(const int16_t *p, const int16_t *q, Py_ssize_t run,
                         const int16_t *restrict w, Py_ssize_t apart, int32_t *restrict sums)
{
    int32_t one[LANES], two[LANES];
    memcpy(one, sums, sizeof one);
    memcpy(two, sums + apart, sizeof two);
    for (Py_ssize_t i = 0; i < run; i++, w += apart) {
        int16_t a = p[i], b = q[i];
        for (int c = 0; c < LANES; c++) one[c] += a * w[c];
        for (int c = 0; c < LANES; c++) two[c] += b * w[c];
    }
    memcpy(sums, one, sizeof one);
    memcpy(sums + apart, two, sizeof two);
}

static void tile_portable(const int16_t *const *pixel, Py_ssize_t pitch, int rows, Py_ssize_t run,
                          const int16_t *weight, const int32_t *bias, int vectors, int32_t *sums)
{
    Py_ssize_t apart = vectors * LANES;
    for (int i = 0; i < 2; i++) memcpy(sums + i * apart, bias, sizeof(int32_t) * apart);
    for (int y = 0; y < rows; y++, weight += run * apart)
        for (int v = 0; v < apart; v += LANES)
            row_portable(pixel[0] + y * pitch, pixel[1] + y * pitch, run, weight + v, apart,
                         sums + v);
}

INLINE void convolve_portable(const Layer *l, const int16_t *a, Py_ssize_t pitch, Py_ssize_t even,
                              Py_ssize_t first, Py_ssize_t rows, Py_ssize_t width)
{
    convolve(l, a, pitch, even, first, rows, width, tile_portable, 2);
}

static int work_portable(const Layer *l, Py_ssize_t first, Py_ssize_t last)
{
    return work(l, first, last, 2, fill, convolve_portable);
}

#if defined(__x86_64__) && defined(__GNUC__)
#define X86
#include <immintrin.h>

#define NAME(f) f##_avx2
#define TARGET __attribute__((target("avx2")))
#define VECTOR __m256i
#define PARTS 2 /* vectors to LANES channels */
#define PIXELS 6
#define SPLAT(x) _mm256_set1_epi32(x)
#define DOT(acc, w, a) _mm256_add_epi32(acc, _mm256_madd_epi16(w, a))
#include "tile.h"

#define NAME(f) f##_avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#define VECTOR __m512i
#define PARTS 1
#define PIXELS 8
#define SPLAT(x) _mm512_set1_epi32(x)
#define DOT(acc, w, a) _mm512_add_epi32(acc, _mm512_madd_epi16(w, a))
#include "tile.h"

#define NAME(f) f##_vnni
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define VECTOR __m512i
#define PARTS 1
#define PIXELS 8
#define SPLAT(x) _mm512_set1_epi32(x)
#define DOT(acc, w, a) _mm512_dpwssd_epi32(acc, w, a)
#include "tile.h"

#if defined(__linux__) && __GNUC__ >= 11
#define AMX
#include "amx.h"
#endif
#endif

typedef int Work(const Layer *l, Py_ssize_t first, Py_ssize_t last);

/* The instruction sets that were compiled, the fastest first. */
static const struct {
    const char *name;
    Work *work;
} sets[] = {
#ifdef AMX
    {"amx", work_amx},
#endif
#ifdef X86
    {"vnni", work_vnni},
    {"avx512", work_avx512},
    {"avx2", work_avx2},
#endif
    {"portable", work_portable},
};
#define SETS (int)(sizeof sets / sizeof *sets)

static int has(const char *name)
{
#ifdef X86
    int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#ifdef AMX
    if (!strcmp(name, "amx")) return avx512 && may_use_amx();
#endif
    if (!strcmp(name, "vnni")) return avx512 && __builtin_cpu_supports("avx512vnni");
    if (!strcmp(name, "avx512")) return avx512;
    if (!strcmp(name, "avx2")) return __builtin_cpu_supports("avx2");
#endif
    return !strcmp(name, "portable");
}

/* instruction_sets(): names of those that this processor has, the fastest first. */
static PyObject *instruction_sets(PyObject *self, PyObject *unused)
{
    PyObject *names = PyList_New(0);
    (void)self;
    (void)unused;
    for (int i = 0; names && i < SETS; i++) {
        PyObject *name = has(sets[i].name) ? PyUnicode_FromString(sets[i].name) : NULL;
        if (name && PyList_Append(names, name)) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

static Work *find(const char *name)
{
    for (int i = 0; i < SETS; i++)
        if (!strcmp(name, sets[i].name) && has(name)) return sets[i].work;
    PyErr_Format(PyExc_ValueError, "this processor has no instruction set %s", name);
    return NULL;
}

/* The streams of a tuple into l; returns how many buffers are held, also after an error. */
static int open_sources(PyObject *streams, Py_buffer *views, Layer *l)
{
    Py_ssize_t n = PyTuple_Size(streams);
    l->sources = 0;
    l->c_in = 0;
    if (n > SOURCES) PyErr_Format(PyExc_ValueError, "a layer reads at most %d streams", SOURCES);
    for (int i = 0; i < n && n <= SOURCES; i++) {
        if (PyObject_GetBuffer(PyTuple_GetItem(streams, i), &views[i], PyBUF_SIMPLE)) break;
        l->source[i] = views[i].buf;
        l->channels[i] = views[i].len / ((Py_ssize_t)sizeof(int32_t) * l->height * l->width);
        l->c_in += l->channels[i];
        l->sources++;
    }
    return l->sources;
}

/* layer(set, sources, (height, width, c_out, kernel, stride, upsample, shift, limit, peak, before),
 * table, weight, bias, down, add, out, first, last): rows first .. last - 1 of out. */
static PyObject *layer(PyObject *self, PyObject *args)
{
    Py_buffer source[SOURCES], table, weight, bias, down, add, out;
    PyObject *streams;
    Py_ssize_t first, last;
    const char *set;
    Layer l;
    (void)self;
    if (!PyArg_ParseTuple(args, "sO!(nnniiiiiii)z*y*y*y*z*w*nn", &set, &PyTuple_Type, &streams,
                          &l.height, &l.width, &l.c_out, &l.kernel, &l.stride, &l.upsample,
                          &l.shift, &l.limit, &l.peak, &l.before, &table, &weight, &bias, &down,
                          &add, &out, &first, &last))
        return NULL;
    Work *work_of_set = find(set);
    int held = work_of_set ? open_sources(streams, source, &l) : 0;
    if (!PyErr_Occurred()) {
        int failed;
        l.table = table.buf ? (const int16_t *)table.buf + 32768 : NULL;
        l.weight = weight.buf;
        l.bias = bias.buf;
        l.down = down.buf;
        l.add = add.buf;
        l.out = out.buf;
        Py_BEGIN_ALLOW_THREADS
        failed = work_of_set(&l, first, last);
        Py_END_ALLOW_THREADS
        if (failed) PyErr_NoMemory();
    }
    for (int i = 0; i < held; i++) PyBuffer_Release(&source[i]);
    PyBuffer_Release(&table);
    PyBuffer_Release(&weight);
    PyBuffer_Release(&bias);
    PyBuffer_Release(&down);
    PyBuffer_Release(&add);
    PyBuffer_Release(&out);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

#include "norm_calls.h"

static PyMethodDef methods[] = {
    {"instruction_sets", instruction_sets, METH_NOARGS, "Names of those that can be used."},
    {"layer", layer, METH_VARARGS, "Evaluate some rows of a layer."},
    {"sums", sums, METH_VARARGS, "Sums of numbers and squares by window and channel."},
    {"normalise", normalise, METH_VARARGS, "Normalise some rows of a layer's sources."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_convolve", NULL, 0, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__convolve(void) { return PyModule_Create(&module); }
