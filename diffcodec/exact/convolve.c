/* Layers of the integer network: the fast form of reference.py, bit for bit.
 *
 * A layer is worked through in bands of rows. The activations of a band, int16 with a border of
 * zeros, stay in the cache and are made right before they are convolved; rows that the next band
 * shares are kept. Products are summed in int32, for strips of pixels by blocks of channels, with
 * the best instructions the processor has (tile.inc). The exporter proves that the modulus of
 * every sum, in any order, stays below 2^31, and no activation is -32768; so nothing wraps, also
 * not in the pairs of products that vpmaddwd and vpdpwssd add.
 *
 * Weights are int16 in blocks of BLOCK output channels, the last of what remains, rounded up to
 * LANES; in a block [ky][kx][pair of input channels][output channel][2], or for "portable"
 * [ky][kx][input channel][output channel]. The input channels are rounded up to an even number.
 * The bias includes one half of what the shift takes away; bias and shift are int32, with room
 * for whole blocks. Sizes, and which streams may share memory, are the business of compiled.py.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define ALIGNED __attribute__((aligned(64)))
#else
#define INLINE static inline
#define ALIGNED
#endif

#define LANES 16
#define BLOCK 48         /* channels: 3 vectors of 512 bits */
#define STRIP 8          /* pixels, at most */
#define SOURCES 8        /* streams that a layer reads, at most */
#define BAND (128 << 10) /* bytes of activations that are held at a time, roughly */
#define CHUNK 512        /* values that are looked up at a time */

typedef struct {
    const int32_t *source[SOURCES];
    Py_ssize_t channels[SOURCES]; /* of each source */
    int sources, upsample, kernel, stride, shift, limit;
    int peak; /* of SiLU's table, before the shift */
    Py_ssize_t height, width, c_in, c_out; /* height, width: of the sources */
    const int16_t *table, *weight;         /* table[-32768 .. 32767] or NULL: cut */
    const int32_t *bias, *down, *add;      /* down: shifts; add: a stream or NULL */
    int32_t *out;
} Layer;

/* Sums of `pixels` pixels by `vectors` * LANES channels. pixel[i]: first activation under the
 * kernel; the kernel's `rows` rows are `pitch` apart and `run` activations long. */
typedef void Tile(const int16_t *const *pixel, Py_ssize_t pitch, int rows, Py_ssize_t run,
                  const int16_t *weight, const int32_t *bias, int vectors, int32_t *sums);

/* round(x / 2^shift), cut to -limit .. limit; x + 2^(shift - 1) might not fit into 32 bits. */
INLINE int16_t cut(int32_t x, int shift, int limit)
{
    int32_t half = shift ? x >> (shift - 1) & 1 : 0, y = (x >> shift) + half;
    return (int16_t)(y < -limit ? -limit : y > limit ? limit : y);
}

/* Activations of n values. Beyond the table SiLU goes on with slope 1; few values are there, and
 * many layers cut them to what the table ends with. */
INLINE void activate(const Layer *l, const int32_t *x, int16_t *a, Py_ssize_t n)
{
    if (!l->table) {
        for (Py_ssize_t i = 0; i < n; i++) a[i] = cut(x[i], l->shift, l->limit);
        return;
    }
    int32_t most = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        most = x[i] > most ? x[i] : most;
        a[i] = (int16_t)(x[i] < -32768 ? -32768 : x[i] > 32767 ? 32767 : x[i]);
    }
    for (Py_ssize_t i = 0; i < n; i++) a[i] = l->table[a[i]];
    if (most > 32767 && l->table[32767] < l->limit)
        for (Py_ssize_t i = 0; i < n; i++) {
            int16_t beyond = cut((x[i] > 32767 ? x[i] - 32767 : 0) + l->peak, l->shift, l->limit);
            a[i] = x[i] > 32767 ? beyond : a[i];
        }
}

/* One row of activations, `even` to a pixel, from the sources' row y. */
INLINE void activate_row(const Layer *l, Py_ssize_t y, Py_ssize_t even, int16_t *a)
{
    if (l->sources == 1 && !l->upsample && even == l->c_in) {
        Py_ssize_t n = l->width * even;
        for (Py_ssize_t i = 0; i < n; i += CHUNK)
            activate(l, l->source[0] + y * n + i, a + i, n - i < CHUNK ? n - i : CHUNK);
        return;
    }
    for (Py_ssize_t i = y * l->width; i < (y + 1) * l->width; i++) {
        int16_t *to = a;
        for (int s = 0; s < l->sources; to += l->channels[s++])
            activate(l, l->source[s] + i * l->channels[s], to, l->channels[s]);
        a += even;
        if (l->upsample) {
            memcpy(a, a - even, sizeof(int16_t) * even);
            a += even;
        }
    }
}

/* Shift the sums of one pixel, add the residual, store. out and add may be the same. */
INLINE void finish(const int32_t *sums, const int32_t *down, const int32_t *add, int32_t *out,
                   Py_ssize_t n)
{
    if (add) {
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC ivdep
#endif
        for (Py_ssize_t i = 0; i < n; i++)
            out[i] = (int32_t)((uint32_t)(sums[i] >> down[i]) + (uint32_t)add[i]);
    } else {
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC ivdep
#endif
        for (Py_ssize_t i = 0; i < n; i++) out[i] = sums[i] >> down[i];
    }
}

/* Rows `first` .. `first + rows` - 1 of the output; `a` begins with the first row they need. */
INLINE void convolve(const Layer *l, const int16_t *a, Py_ssize_t pitch, Py_ssize_t even,
                     Py_ssize_t first, Py_ssize_t rows, Py_ssize_t width, Tile tile, int strip)
{
    ALIGNED int32_t sums[STRIP * BLOCK];
    Py_ssize_t run = l->kernel * even, pixels = rows * width;
    const int16_t *weight = l->weight;
    for (Py_ssize_t c = 0; c < l->c_out; c += BLOCK) {
        Py_ssize_t n = l->c_out - c < BLOCK ? l->c_out - c : BLOCK, x = 0;
        int vectors = (int)(n + LANES - 1) / LANES;
        const int16_t *pixel[STRIP], *row = a;
        for (Py_ssize_t p = 0; p < pixels; p += strip) {
            int count = pixels - p < strip ? (int)(pixels - p) : strip;
            for (int i = 0; i < strip; i++) {
                pixel[i] = i < count ? row + x * l->stride * even : a;
                if (i < count && ++x == width) {
                    x = 0;
                    row += l->stride * pitch;
                }
            }
            tile(pixel, pitch, l->kernel, run, weight, l->bias + c, vectors, sums);
            Py_ssize_t at = (first * width + p) * l->c_out + c;
            for (int i = 0; i < count; i++, at += l->c_out)
                finish(sums + i * vectors * LANES, l->down + c, l->add ? l->add + at : NULL,
                       l->out + at, n);
        }
        weight += l->kernel * run * vectors * LANES;
    }
}

/* Rows first .. last - 1 of the output; -1: no memory. */
INLINE int work(const Layer *l, Py_ssize_t first, Py_ssize_t last, Tile tile, int strip)
{
    Py_ssize_t edge = l->kernel / 2, even = l->c_in + (l->c_in & 1);
    Py_ssize_t height = l->height << l->upsample, width = l->width << l->upsample;
    Py_ssize_t pitch = (width + 2 * edge) * even, step = l->stride;
    Py_ssize_t band = (BAND / (Py_ssize_t)sizeof(int16_t) / pitch - l->kernel) / step + 1;
    band = band < 1 ? 1 : band > last - first ? last - first : band;
    int16_t *a = calloc((step * (band - 1) + l->kernel) * pitch, sizeof(int16_t));
    if (!a) return -1;
    Py_ssize_t end = 0; /* of the rows in a */
    for (Py_ssize_t r = first, top = 0; r < last; r += band) {
        Py_ssize_t rows = last - r < band ? last - r : band, next = step * r - edge;
        Py_ssize_t kept = r > first && end > next ? end - next : 0;
        memmove(a, a + (next - top) * pitch * (kept > 0), sizeof(int16_t) * kept * pitch);
        top = next;
        end = top + step * (rows - 1) + l->kernel;
        for (Py_ssize_t y = top + kept; y < end; y++) {
            int16_t *row = a + (y - top) * pitch;
            if (y < 0 || y >= height)
                memset(row, 0, sizeof(int16_t) * pitch);
            else if (l->upsample && y % 2 && y > top)
                memcpy(row, row - pitch, sizeof(int16_t) * pitch);
            else
                activate_row(l, y >> l->upsample, even, row + edge * even);
        }
        convolve(l, a, pitch, even, r, rows, (width + step - 1) / step, tile, strip);
    }
    free(a);
    return 0;
}

/* The instruction sets: a tile each, and everything above compiled for it as well. */

/* Two pixels at a time, each with its array: so compilers keep the sums in registers. */
static void tile_portable(const int16_t *const *pixel, Py_ssize_t pitch, int rows, Py_ssize_t run,
                          const int16_t *weight, const int32_t *bias, int vectors, int32_t *sums)
{
    for (int v = 0; v < vectors; v++, bias += LANES, sums += LANES) {
        const int16_t *w = weight + v * LANES;
        int32_t one[LANES], two[LANES];
        memcpy(one, bias, sizeof one);
        memcpy(two, bias, sizeof two);
        for (int y = 0; y < rows; y++)
            for (Py_ssize_t i = y * pitch; i < y * pitch + run; i++, w += vectors * LANES) {
                int16_t a = pixel[0][i], b = pixel[1][i];
                for (int c = 0; c < LANES; c++) one[c] += a * w[c];
                for (int c = 0; c < LANES; c++) two[c] += b * w[c];
            }
        memcpy(sums, one, sizeof one);
        memcpy(sums + vectors * LANES, two, sizeof two);
    }
}

static int work_portable(const Layer *l, Py_ssize_t first, Py_ssize_t last)
{
    return work(l, first, last, tile_portable, 2);
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
#include "tile.inc"

#define NAME(f) f##_avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#define VECTOR __m512i
#define PARTS 1
#define PIXELS 8
#define SPLAT(x) _mm512_set1_epi32(x)
#define DOT(acc, w, a) _mm512_add_epi32(acc, _mm512_madd_epi16(w, a))
#include "tile.inc"

#define NAME(f) f##_vnni
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define VECTOR __m512i
#define PARTS 1
#define PIXELS 8
#define SPLAT(x) _mm512_set1_epi32(x)
#define DOT(acc, w, a) _mm512_dpwssd_epi32(acc, w, a)
#include "tile.inc"
#endif

typedef int Work(const Layer *l, Py_ssize_t first, Py_ssize_t last);

/* The instruction sets that were compiled, the fastest first. */
static const struct {
    const char *name;
    Work *work;
} sets[] = {
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
    Py_ssize_t n = PyTuple_GET_SIZE(streams);
    l->sources = 0;
    l->c_in = 0;
    if (n > SOURCES) PyErr_Format(PyExc_ValueError, "a layer reads at most %d streams", SOURCES);
    for (int i = 0; i < n && n <= SOURCES; i++) {
        if (PyObject_GetBuffer(PyTuple_GET_ITEM(streams, i), &views[i], PyBUF_SIMPLE)) break;
        l->source[i] = views[i].buf;
        l->channels[i] = views[i].len / ((Py_ssize_t)sizeof(int32_t) * l->height * l->width);
        l->c_in += l->channels[i];
        l->sources++;
    }
    return l->sources;
}

/* layer(set, sources, (height, width, c_out, kernel, stride, upsample, shift, limit, peak), table,
 * weight, bias, down, add, out, first, last): rows first .. last - 1 of out. */
static PyObject *layer(PyObject *self, PyObject *args)
{
    Py_buffer source[SOURCES], table, weight, bias, down, add, out;
    PyObject *streams;
    Py_ssize_t first, last;
    const char *set;
    Layer l;
    (void)self;
    if (!PyArg_ParseTuple(args, "sO!(nnniiiiii)z*y*y*y*z*w*nn", &set, &PyTuple_Type, &streams,
                          &l.height, &l.width, &l.c_out, &l.kernel, &l.stride, &l.upsample,
                          &l.shift, &l.limit, &l.peak, &table, &weight, &bias, &down, &add, &out, &first,
                          &last))
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

static PyMethodDef methods[] = {
    {"instruction_sets", instruction_sets, METH_NOARGS, "Names of those that can be used."},
    {"layer", layer, METH_VARARGS, "Evaluate some rows of a layer."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_convolve", NULL, 0, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__convolve(void) { return PyModule_Create(&module); }
