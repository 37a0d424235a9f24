/* Layers of the integer network of bytes: the fast form of reference.py, bit for bit.
 *
 * Sums are made in int32 with the best instructions the processor has (dots.h, amx.h), shifted and
 * activated in int16 (finish.h), and layers of one resolution follow each other a few rows at a time
 * (chain.h). proof.py shows that no sum wraps, and that no two products of bytes that AVX2 adds
 * saturate. Weights are blocks of 2 LANES channels, [row of the kernel][4 bytes of the row, or 2
 * int16][half][LANES channels][4 bytes]; of "amx" they are tiles, [row][64 bytes of the row][half][16]
 * [16 channels][4 bytes]. Sizes, and where everything lies, are the business of packed.py and plan.py.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#define UNROLLED _Pragma("GCC unroll 16")
#else
#define UNROLLED
#endif

#include "layer.h"

/* Plain C: vectors are arrays, which compilers see as such. */

typedef struct {
    int16_t x[8];
} Words;
typedef struct {
    int32_t x[4];
} Sums;

#define EACH(i, n) for (int i = 0; i < n; i++)
INLINE int16_t clip16(int32_t x) { return (int16_t)(x < -32768 ? -32768 : x > 32767 ? 32767 : x); }
INLINE Words words_load(const int16_t *p)
{
    Words v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void words_store(int16_t *p, Words v) { memcpy(p, &v, sizeof v); }
INLINE Words words_adds(Words a, Words b)
{
    EACH(i, 8) a.x[i] = clip16(a.x[i] + b.x[i]);
    return a;
}
INLINE Words words_product(Words a, Words b)
{
    EACH(i, 8) a.x[i] = (int16_t)((a.x[i] * b.x[i] + (1 << 14)) >> 15);
    return a;
}
INLINE Words words_min(Words a, Words b)
{
    EACH(i, 8) a.x[i] = a.x[i] < b.x[i] ? a.x[i] : b.x[i];
    return a;
}
INLINE Words words_max(Words a, Words b)
{
    EACH(i, 8) a.x[i] = a.x[i] > b.x[i] ? a.x[i] : b.x[i];
    return a;
}
INLINE Words words_shift(Words a, int bits)
{
    EACH(i, 8) a.x[i] = (int16_t)(a.x[i] * (1 << bits));
    return a;
}
INLINE Words words_splat(int16_t x)
{
    Words v;
    EACH(i, 8) v.x[i] = x;
    return v;
}
INLINE void words_bytes(uint8_t *p, Words v)
{
    EACH(i, 8) p[i] = (uint8_t)(v.x[i] < 0 ? 0 : v.x[i] > 255 ? 255 : v.x[i]);
}
INLINE Words words_of_sums(Sums a, Sums one, Sums b, Sums two)
{
    Words v;
    EACH(i, 4) v.x[i] = clip16(a.x[i] >> one.x[i]), v.x[4 + i] = clip16(b.x[i] >> two.x[i]);
    return v;
}
INLINE Sums sums_add(Sums a, Sums b)
{
    EACH(i, 4) a.x[i] += b.x[i];
    return a;
}
INLINE Sums sums_load(const void *p)
{
    Sums v;
    memcpy(&v, p, sizeof v);
    return v;
}
/* x: four bytes of a pixel, not signed; w: those of four channels, signed */
INLINE Sums sums_dot4(Sums acc, const uint8_t *x, Sums w)
{
    const int8_t *each = (const int8_t *)&w;
    EACH(i, 4) EACH(j, 4) acc.x[i] += x[j] * each[4 * i + j];
    return acc;
}
INLINE Sums sums_dot2(Sums acc, const uint8_t *x, Sums w)
{
    int16_t each[8], two[2];
    memcpy(each, &w, sizeof each);
    memcpy(two, x, sizeof two);
    EACH(i, 4) EACH(j, 2) acc.x[i] += two[j] * each[2 * i + j];
    return acc;
}

#define NAME(f) f##_portable
#define TARGET
#define V Words
#define D Sums
#define X const uint8_t *
#define LANES 4
#define PIXELS 2
#define UNROLL
#define LOAD(p) words_load(p)
#define STORE words_store
#define STORE_FAR words_store
#define ADDS words_adds
#define PRODUCT words_product
#define MIN words_min
#define MAX words_max
#define SHIFT words_shift
#define SPLAT words_splat
#define BYTES words_bytes
#define SUMS words_of_sums
#define ADD32 sums_add
#define ZERO32 ((Sums){{0}})
#define LOAD32(p) sums_load(p)
#define STORE32(p, v) memcpy(p, &v, sizeof v)
#define SPLAT4(p) (p)
#define DOT4(acc, x, w) sums_dot4(acc, x, w)
#define DOT2(acc, x, w) sums_dot2(acc, x, w)
#include "dots.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define X86
#include <cpuid.h>
#include <immintrin.h>

#define LOAD256(p) _mm256_loadu_si256((const __m256i *)(p))
#define STORE256(p, v) _mm256_storeu_si256((__m256i *)(p), v)

INLINE int32_t four(const uint8_t *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* What both sets of 256 bits share. */
__attribute__((target("avx2"))) INLINE void bytes_256(uint8_t *p, __m256i v)
{
    v = _mm256_permute4x64_epi64(_mm256_packus_epi16(v, v), 0x08);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(v));
}

#define NAME(f) f##_avx2
#define TARGET __attribute__((target("avx2")))
#define V __m256i
#define D __m256i
#define X __m256i
#define LANES 8
#define PIXELS 4
#define UNROLL UNROLLED
#define LOAD LOAD256
#define STORE STORE256
#define STORE_FAR(p, v) _mm256_stream_si256((__m256i *)(p), v)
#define ADDS _mm256_adds_epi16
#define PRODUCT _mm256_mulhrs_epi16
#define MIN _mm256_min_epi16
#define MAX _mm256_max_epi16
#define SHIFT(v, n) _mm256_sll_epi16(v, _mm_cvtsi32_si128(n))
#define SPLAT(x) _mm256_set1_epi16(x)
#define BYTES bytes_256
#define SUMS(a, one, b, two)                                                                       \
    _mm256_packs_epi32(_mm256_srav_epi32(a, one), _mm256_srav_epi32(b, two))
#define ADD32 _mm256_add_epi32
#define ZERO32 _mm256_setzero_si256()
#define LOAD32 LOAD256
#define STORE32 STORE256
#define SPLAT4(p) _mm256_set1_epi32(four(p))
#define DOT4(acc, x, w)                                                                            \
    _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), _mm256_set1_epi16(1)))
#define DOT2(acc, x, w) _mm256_add_epi32(acc, _mm256_madd_epi16(x, w))
#include "dots.h"

#if __GNUC__ >= 11 || defined(__clang__)
#define AVXVNNI
#define NAME(f) f##_avxvnni
#define TARGET __attribute__((target("avx2,avxvnni")))
#define V __m256i
#define D __m256i
#define X __m256i
#define LANES 8
#define PIXELS 6
#define UNROLL UNROLLED
#define LOAD LOAD256
#define STORE STORE256
#define STORE_FAR(p, v) _mm256_stream_si256((__m256i *)(p), v)
#define ADDS _mm256_adds_epi16
#define PRODUCT _mm256_mulhrs_epi16
#define MIN _mm256_min_epi16
#define MAX _mm256_max_epi16
#define SHIFT(v, n) _mm256_sll_epi16(v, _mm_cvtsi32_si128(n))
#define SPLAT(x) _mm256_set1_epi16(x)
#define BYTES bytes_256
#define SUMS(a, one, b, two)                                                                       \
    _mm256_packs_epi32(_mm256_srav_epi32(a, one), _mm256_srav_epi32(b, two))
#define ADD32 _mm256_add_epi32
#define ZERO32 _mm256_setzero_si256()
#define LOAD32 LOAD256
#define STORE32 STORE256
#define SPLAT4(p) _mm256_set1_epi32(four(p))
#define DOT4(acc, x, w) _mm256_dpbusd_avx_epi32(acc, x, w)
#define DOT2(acc, x, w) _mm256_dpwssd_avx_epi32(acc, x, w)
#include "dots.h"
#endif

#define NAME(f) f##_vnni
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define V __m512i
#define D __m512i
#define X __m512i
#define LANES 16
#define PIXELS 12
#define UNROLL UNROLLED
#define LOAD(p) _mm512_loadu_si512(p)
#define STORE(p, v) _mm512_storeu_si512(p, v)
#define STORE_FAR(p, v) _mm512_stream_si512((__m512i *)(p), v)
#define ADDS _mm512_adds_epi16
#define PRODUCT _mm512_mulhrs_epi16
#define MIN _mm512_min_epi16
#define MAX _mm512_max_epi16
#define SHIFT(v, n) _mm512_sll_epi16(v, _mm_cvtsi32_si128(n))
#define SPLAT(x) _mm512_set1_epi16(x)
#define BYTES(p, v)                                                                                \
    STORE256(p, _mm512_cvtusepi16_epi8(_mm512_max_epi16(v, _mm512_setzero_si512())))
#define SUMS(a, one, b, two)                                                                       \
    _mm512_packs_epi32(_mm512_srav_epi32(a, one), _mm512_srav_epi32(b, two))
#define ADD32 _mm512_add_epi32
#define ZERO32 _mm512_setzero_si512()
#define LOAD32(p) _mm512_loadu_si512(p)
#define STORE32(p, v) _mm512_storeu_si512(p, v)
#define SPLAT4(p) _mm512_set1_epi32(four(p))
#define DOT4(acc, x, w) _mm512_dpbusd_epi32(acc, x, w)
#define DOT2(acc, x, w) _mm512_dpwssd_epi32(acc, x, w)
#include "dots.h"

#if defined(__linux__) && __GNUC__ >= 11
#define AMX
#include "amx.h"
#endif
#endif

#include "chain.h"

/* The instruction sets that were compiled, the fastest first. */
static const struct {
    const char *name;
    Rows *rows;
} sets[] = {
#ifdef AMX
    {"amx", layer_amx},
#endif
#ifdef X86
    {"vnni", layer_vnni},
#ifdef AVXVNNI
    {"avxvnni", layer_avxvnni},
#endif
    {"avx2", layer_avx2},
#endif
    {"portable", layer_portable},
};
#define SETS (int)(sizeof sets / sizeof *sets)

static int has(const char *name)
{
#ifdef X86
    int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512vnni");
#ifdef AMX
    if (!strcmp(name, "amx")) return avx512 && may_use_amx();
#endif
    if (!strcmp(name, "vnni")) return avx512;
#ifdef AVXVNNI
    if (!strcmp(name, "avxvnni")) {
        unsigned a, b, c, d;
        return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) &&
               a >> 4 & 1;
    }
#endif
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

static Rows *find(const char *name)
{
    for (int i = 0; i < SETS; i++)
        if (!strcmp(name, sets[i].name) && has(name)) return sets[i].rows;
    PyErr_Format(PyExc_ValueError, "this processor has no instruction set %s", name);
    return NULL;
}

/* chains(set, layers, weights, sums, constants, memory, out, chains): rows of some layers.
 * chains: int64 (n, 4): the first and the last layer of each, and rows begin .. end - 1 of the
 * last. */
static PyObject *chains(PyObject *self, PyObject *args)
{
    Py_buffer layers, weights, sums, constants, memory, out, list;
    const char *set;
    (void)self;
    if (!PyArg_ParseTuple(args, "sy*y*y*y*w*w*y*", &set, &layers, &weights, &sums, &constants,
                          &memory, &out, &list))
        return NULL;
    Rows *of_set = find(set);
    if (of_set) {
        Network n = {layers.buf, weights.buf, sums.buf, constants.buf, memory.buf, out.buf};
        const int64_t *at = list.buf;
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t i = 0; i < list.len / (Py_ssize_t)(4 * sizeof *at); i++, at += 4)
            chain(&n, at[0], at[1], at[2], at[3], of_set);
#ifdef X86
        _mm_sfence(); /* other threads may read what was written past the caches */
#endif
#ifdef AMX
        if (of_set == layer_amx) release();
#endif
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&layers);
    PyBuffer_Release(&weights);
    PyBuffer_Release(&sums);
    PyBuffer_Release(&constants);
    PyBuffer_Release(&memory);
    PyBuffer_Release(&out);
    PyBuffer_Release(&list);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"instruction_sets", instruction_sets, METH_NOARGS, "Names of those that can be used."},
    {"chains", chains, METH_VARARGS, "Evaluate some rows of some layers."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_kernel", NULL, 0, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModule_Create(&module); }
