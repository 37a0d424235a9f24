/* The rotation of rotation.py: gather, signs, Walsh-Hadamard transforms. Singles, every sum of two on
 * its own, so that the numbers are those of numpy.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3,fp-contract=off")
#endif

#include "clones.h"

#define NEAR 16 /* coordinates whose last transforms are done at once */

/* Sums and differences of coordinates that are half apart, in groups of 2 half. */
SIMD static void cross(float *restrict x, Py_ssize_t n, Py_ssize_t half)
{
    for (Py_ssize_t at = 0; at < n; at += 2 * half) {
        float *restrict low = x + at, *restrict high = low + half;
        for (Py_ssize_t i = 0; i < half; i++) {
            float u = low[i], v = high[i];
            low[i] = u + v;
            high[i] = u - v;
        }
    }
}

/* The same for half = 8, 4, 2, 1 in turn: NEAR columns of NEAR rows, so that rows are vectors. */
SIMD static void cross_near(float *restrict x, Py_ssize_t n)
{
    float rows[NEAR][NEAR];
    for (Py_ssize_t at = 0; at < n; at += NEAR * NEAR) {
        for (int i = 0; i < NEAR; i++)
            for (int j = 0; j < NEAR; j++) rows[j][i] = x[at + NEAR * i + j];
        for (int half = NEAR / 2; half; half /= 2)
            for (int j = 0; j < NEAR; j++)
                if (!(j & half))
                    for (int i = 0; i < NEAR; i++) {
                        float u = rows[j][i], v = rows[j + half][i];
                        rows[j][i] = u + v;
                        rows[j + half][i] = u - v;
                    }
        for (int i = 0; i < NEAR; i++)
            for (int j = 0; j < NEAR; j++) x[at + NEAR * i + j] = rows[j][i];
    }
}

/* The orthonormal transform of n = 2^k coordinates, distances from large to small. */
static void hadamard(float *x, Py_ssize_t n, float scale)
{
    Py_ssize_t least = n >= NEAR * NEAR ? NEAR : 1;
    for (Py_ssize_t half = n / 2; half >= least; half /= 2) cross(x, n, half);
    if (least > 1) cross_near(x, n);
    for (Py_ssize_t i = 0; i < n; i++) x[i] *= scale;
}

/* Whether there are whole blocks of n, and as many places and signs as coordinates. */
static int agree(Py_ssize_t count, Py_ssize_t n, const Py_buffer *order, const Py_buffer *signs)
{
    return n > 0 && count % n == 0 && order->len == 4 * count && signs->len == count;
}

/* rotate(x, order, signs, n, scale, out): blocks of n of x[order] signs, transformed. */
static PyObject *rotate(PyObject *self, PyObject *args)
{
    Py_buffer x, order, signs, out;
    Py_ssize_t n;
    float scale;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*nfw*", &x, &order, &signs, &n, &scale, &out)) return NULL;
    const float *from = x.buf;
    const int32_t *place = order.buf;
    const int8_t *sign = signs.buf;
    float *to = out.buf;
    Py_ssize_t count = out.len / (Py_ssize_t)sizeof(float);
    int fits = agree(count, n, &order, &signs);
    if (!fits) count = 0;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t at = 0; at < count; at += n) {
        for (Py_ssize_t i = at; i < at + n; i++) to[i] = from[place[i]] * sign[i];
        hadamard(to + at, n, scale);
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&x);
    PyBuffer_Release(&order);
    PyBuffer_Release(&signs);
    PyBuffer_Release(&out);
    if (!fits) return PyErr_Format(PyExc_ValueError, "the arrays' sizes do not agree");
    Py_RETURN_NONE;
}

/* unrotate(z, order, signs, n, scale, out): out[order] = blocks of z, transformed, times signs. */
static PyObject *unrotate(PyObject *self, PyObject *args)
{
    Py_buffer z, order, signs, out;
    Py_ssize_t n;
    float scale, *block;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*nfw*", &z, &order, &signs, &n, &scale, &out)) return NULL;
    const int32_t *place = order.buf;
    const int8_t *sign = signs.buf;
    float *to = out.buf;
    Py_ssize_t count = z.len / (Py_ssize_t)sizeof(float);
    int fits = agree(count, n, &order, &signs);
    block = fits ? PyMem_Malloc(sizeof(float) * (size_t)n) : NULL;
    if (block) {
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t at = 0; at < count; at += n) {
            memcpy(block, (const float *)z.buf + at, sizeof(float) * (size_t)n);
            hadamard(block, n, scale);
            for (Py_ssize_t i = 0; i < n; i++) to[place[at + i]] = block[i] * sign[at + i];
        }
        Py_END_ALLOW_THREADS
    }
    PyMem_Free(block);
    PyBuffer_Release(&z);
    PyBuffer_Release(&order);
    PyBuffer_Release(&signs);
    PyBuffer_Release(&out);
    if (!fits) return PyErr_Format(PyExc_ValueError, "the arrays' sizes do not agree");
    if (!block) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"rotate", rotate, METH_VARARGS, "Gather, signs, transforms."},
    {"unrotate", unrotate, METH_VARARGS, "Transforms, signs, scatter."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_rotation", NULL, 0, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__rotation(void) { return PyModule_Create(&module); }
