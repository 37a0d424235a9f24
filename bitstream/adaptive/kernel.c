/* The adaptive coder of exact pixels: the fast form of the Python files beside it, bit for bit. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <fenv.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif
#include "vector.h"
#include "coder.h"
#include "regression.h"
#include "level.h"
#include "learnt.h"
#include "strip.h"
#include "sample.h"
#include "scales.h"
#include "contexts.h"
#include "mixing.h"
#include "tree.h"
#include "fits.h"
#include "code.h"

#if defined(SIMD)
#elif defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 11
#define SIMD __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define SIMD
#endif

SIMD static int64_t code_fast(Job *job, Coder *coder, uint16_t *pixels)
{
    return code_strip(&FAST, job, coder, pixels);
}

SIMD static int64_t code_default(Job *job, Coder *coder, uint16_t *pixels)
{
    return code_strip(&DEFAULT, job, coder, pixels);
}

SIMD static int64_t code_best(Job *job, Coder *coder, uint16_t *pixels)
{
    return code_strip(&BEST, job, coder, pixels);
}

static const Level *const LEVELS[3] = {&FAST, &DEFAULT, &BEST};

static void *zeroed(size_t bytes)
{
    void *p = NULL;
    if (posix_memalign(&p, 64, bytes ? bytes : 64)) return NULL;
    return memset(p, 0, bytes);
}

static void close_job(Job *job)
{
    for (int c = 0; c < job->strip.channels; c++) {
        Fits *f = &job->fits[c];
        free(f->local), free(f->wide), free(f->classes), free(f->class_fit);
        free(job->learnt[c].mixer), free(job->learnt[c].hashed);
    }
    free(job->work), free(job->strip.planes), free(job->strip.errors);
}

/* Memory of a job; 0 if there is not enough. */
static int open_job(const Level *l, Job *job)
{
    Strip *s = &job->strip;
    Learnt nowhere;
    int bits = 10;
    s->stride = s->width + 2 * BORDER, s->lanes = LANES * l->experts;
    s->size = (int64_t)s->stride * (s->height + 2 * ABOVE);
    s->planes = zeroed(sizeof(float) * KINDS * s->channels * s->size);
    s->errors = zeroed(sizeof(float) * RING * s->channels * s->stride * s->lanes);
    job->segments = (s->width + SEGMENT - 1) / SEGMENT, job->groups = 2;
    for (int c = 0; c < s->channels; c++) {
        Regressors *r = &job->fits[c].regressors;
        choose_regressors(s, c, MOST - 1, r);
        if (l->fits == 2) r->n = r->nested[1];
        while (LANES * job->groups <= r->n) job->groups++;
    }
    size_t vectors = VECTORS(job->groups), gram = sizeof(V) * vectors;
    job->work = zeroed(gram);
    while (bits < l->hashed && (int64_t)1 << bits < 2 * (int64_t)s->height * s->width) bits++;
    int there = s->planes && s->errors && job->work;
    for (int c = 0; c < s->channels; c++) {
        Fits *f = &job->fits[c];
        float *learnt = zeroed(sizeof(float) * lay_out(l, NULL, &nowhere));
        f->local = zeroed(gram * job->segments);
        f->wide = zeroed(l->wide ? gram * job->segments : 0);
        f->classes = zeroed(gram * CLASSES * l->switched);
        f->class_fit = zeroed(sizeof(V) * job->groups * CLASSES * l->switched);
        job->learnt[c].mixer = learnt;
        if (learnt) lay_out(l, learnt, &job->learnt[c]);
        job->learnt[c].bits = bits;
        job->learnt[c].hashed = zeroed(sizeof(Entry) * (l->tables - PLAIN) << bits);
        there = there && learnt && job->learnt[c].hashed && f->local && f->wide && f->classes &&
                f->class_fit;
    }
    return there;
}

/* The planes that are known, in grey levels. */
static void fill_planes(const Strip *s, const int32_t *estimate, const int32_t *state)
{
    float unit = 1.0f / (float)(32 << s->shift);
    for (int c = 0; c < s->channels; c++)
        for (int i = -ABOVE; i < s->height + ABOVE; i++)
            for (int j = -BORDER; j < s->width + BORDER; j++) {
                int64_t to = (int64_t)(i + ABOVE) * s->stride + j + BORDER;
                if (!s->with_state) {
                    plane_of(s, RESIDUAL, c)[to] = 128.0f;
                    continue;
                }
                int row = clip(i, 0, s->height - 1), column = clip(j, 0, s->width - 1);
                int64_t from = ((int64_t)c * s->height + row) * s->width + column;
                plane_of(s, ESTIMATE, c)[to] = (float)estimate[from] * unit;
                if (row == i && column == j)
                    plane_of(s, INNOVATION, c)[to] = (float)(state[from] - estimate[from]) * unit;
            }
}

/* code(level, shape, shift, period, grid, sigma, estimate, state, pixels, learnt, data, size,
 * decoding, cut): how many pixels, bytes, and bits by the model. size: of the data, or room. */
static PyObject *code(PyObject *self, PyObject *args)
{
    Py_buffer estimate, state, pixels, learnt, data;
    Py_ssize_t size;
    int level, decoding, cut;
    Job job = {.likelihood = 1};
    Strip *s = &job.strip;
    (void)self;
    if (!PyArg_ParseTuple(args, "i(iii)iiify*y*w*w*w*nii", &level, &s->channels, &s->height,
                          &s->width, &s->shift, &s->period, &s->grid, &s->sigma, &estimate, &state,
                          &pixels, &learnt, &data, &size, &decoding, &cut))
        return NULL;
    const Level *l = LEVELS[level];
    Coder coder;
    int64_t done = -1;
    fenv_t theirs;
    Py_BEGIN_ALLOW_THREADS
    /* Others may round otherwise, or flush the smallest numbers to zero. */
    fegetenv(&theirs);
    fesetenv(FE_DFL_ENV);
    s->with_state = estimate.len > 0;
    s->top = (float)((256 << s->shift) - 1) * (1.0f / (float)(1 << s->shift));
    if (open_job(l, &job)) {
        size_t run = learnt.len / s->channels;
        char *start = learnt.buf;
        for (int c = 0; c < s->channels; c++) memcpy(job.learnt[c].mixer, start + run * c, run);
        fill_planes(s, estimate.buf, state.buf);
        begin_coding(&coder, data.buf, size, decoding, cut);
        int64_t (*run_level)(Job *, Coder *, uint16_t *) =
            level == 0 ? code_fast : level == 1 ? code_default : code_best;
        done = run_level(&job, &coder, pixels.buf);
        if (!decoding) end_encoding(&coder);
        for (int c = 0; c < s->channels; c++) memcpy(start + run * c, job.learnt[c].mixer, run);
    }
    close_job(&job);
    fesetenv(&theirs);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&estimate);
    PyBuffer_Release(&state);
    PyBuffer_Release(&pixels);
    PyBuffer_Release(&learnt);
    PyBuffer_Release(&data);
    if (done < 0) return PyErr_NoMemory();
    double bits = job.bits - log2(job.likelihood);
    return Py_BuildValue("LLd", (long long)done, (long long)coder.at, bits);
}

/* learnt_size(level): singles that a channel's model learns. */
static PyObject *learnt_size(PyObject *self, PyObject *args)
{
    int level;
    Learnt nowhere;
    (void)self;
    if (!PyArg_ParseTuple(args, "i", &level)) return NULL;
    return PyLong_FromLongLong(lay_out(LEVELS[level], NULL, &nowhere));
}

static PyMethodDef methods[] = {
    {"code", code, METH_VARARGS, "Code or decode a strip; returns pixels, bytes and bits."},
    {"learnt_size", learnt_size, METH_VARARGS, "How many singles a channel's model learns."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_kernel", NULL, 0, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernel(void)
{
    fill_tables();
    return PyModule_Create(&module);
}
