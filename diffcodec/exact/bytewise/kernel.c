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

#include "sets.h"

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

/* chains(set, layers, weights, sums, constants, memory, out, list): rows of some layers. */
static PyObject *evaluate(PyObject *self, PyObject *args)
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
        Py_BEGIN_ALLOW_THREADS
        chains(&n, list.buf, list.len / (Py_ssize_t)sizeof(int64_t[4]), of_set);
        Py_END_ALLOW_THREADS
    } else {
        PyErr_Format(PyExc_ValueError, "this processor has no instruction set %s", set);
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
    {"chains", evaluate, METH_VARARGS, "Evaluate some rows of some layers."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_kernel", NULL, 0, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModule_Create(&module); }
