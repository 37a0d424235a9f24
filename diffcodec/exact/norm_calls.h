/* Normalisation as Python calls it: `sums`, and then `normalise`, of a layer's sources. */

/* What `sums` and `normalise` have in common: which rows of windows, or of pixels. */
static void run(const Normalisation *m, Layer *l, Lines *of_set, PyObject *streams,
                Py_buffer *source, Py_ssize_t first, Py_ssize_t last)
{
    int held = open_sources(streams, source, l);
    if (!PyErr_Occurred()) {
        Py_BEGIN_ALLOW_THREADS
        of_set(m, l, first, last);
        Py_END_ALLOW_THREADS
    }
    for (int i = 0; i < held; i++) PyBuffer_Release(&source[i]);
}

/* sums(sources, (height, width, window, shift, limit), sums, squares, first, last): adds up what
 * some rows of windows hold, to int64 [windows down][across][channels]. */
static PyObject *sums(PyObject *self, PyObject *args)
{
    Py_buffer source[SOURCES], S1, S2;
    PyObject *streams;
    Py_ssize_t first, last;
    Layer l;
    Normalisation m;
    (void)self;
    if (!PyArg_ParseTuple(args, "O!(nnnii)w*w*nn", &PyTuple_Type, &streams, &l.height, &l.width,
                          &m.window, &m.shift, &m.limit, &S1, &S2, &first, &last))
        return NULL;
    m.sums = S1.buf;
    m.squares = S2.buf;
    run(&m, &l, sums_here(), streams, source, first, last);
    PyBuffer_Release(&S1);
    PyBuffer_Release(&S2);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

/* normalise(sources, (height, width, window, shift, limit), unit, (shift, limit, peak) of the
 * activations, table, A, B, out, first, last): rows first .. last - 1 of activations in int32. */
static PyObject *normalise(PyObject *self, PyObject *args)
{
    Py_buffer source[SOURCES], table, A, B, out;
    PyObject *streams;
    Py_ssize_t first, last;
    Layer l;
    Normalisation m;
    (void)self;
    if (!PyArg_ParseTuple(args, "O!(nnnii)d(iii)z*y*y*w*nn", &PyTuple_Type, &streams, &l.height,
                          &l.width, &m.window, &m.shift, &m.limit, &m.unit, &l.shift, &l.limit,
                          &l.peak, &table, &A, &B, &out, &first, &last))
        return NULL;
    l.table = table.buf ? (const int16_t *)table.buf + 32768 : NULL;
    l.out = out.buf;
    m.factor = A.buf;
    m.shifted = B.buf;
    run(&m, &l, lines_here(), streams, source, first, last);
    PyBuffer_Release(&table);
    PyBuffer_Release(&A);
    PyBuffer_Release(&B);
    PyBuffer_Release(&out);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}
