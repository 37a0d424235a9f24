/* The adaptive coder of exact pixels: the fast form of the Python files beside it, bit for bit. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <fenv.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif
#include "vector.h"
#include "stack.h"
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

#include "../clones.h"

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

/* NULL also for more than a size_t of 32 bits can say. */
static void *zeroed(uint64_t bytes)
{
    void *p = NULL;
    if (bytes > PTRDIFF_MAX || posix_memalign(&p, 64, bytes ? (size_t)bytes : 64)) return NULL;
    return memset(p, 0, (size_t)bytes);
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
    s->planes = zeroed(sizeof(float) * KINDS * s->channels * (uint64_t)s->size);
    s->errors = zeroed((uint64_t)(sizeof(float) * RING) * s->channels * s->stride * s->lanes);
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

/* What is known of a strip, as Python passes it: (level, shape, shift, period, grid, sigma,
 * estimate, state, pixels, learnt). */
typedef struct {
    int level;
    Py_buffer estimate, state, pixels, learnt;
    Job job;
} Call;

#define CALL "i(iii)iiify*y*w*w*"
#define CALL_ARGS(c) \
    &(c).level, &(c).job.strip.channels, &(c).job.strip.height, &(c).job.strip.width, \
        &(c).job.strip.shift, &(c).job.strip.period, &(c).job.strip.grid, &(c).job.strip.sigma, \
        &(c).estimate, &(c).state, &(c).pixels, &(c).learnt

static void release_call(Call *c)
{
    PyBuffer_Release(&c->estimate);
    PyBuffer_Release(&c->state);
    PyBuffer_Release(&c->pixels);
    PyBuffer_Release(&c->learnt);
}

/* Code the strip: how many pixels, -1 for want of memory, or STOPPED. */
static int64_t run(Call *c, Coder *coder)
{
    const Level *l = LEVELS[c->level];
    Job *job = &c->job;
    Strip *s = &job->strip;
    int64_t done = -1;
    fenv_t theirs;
    /* Others may round otherwise, or flush the smallest numbers to zero. */
    fegetenv(&theirs);
    fesetenv(FE_DFL_ENV);
    s->with_state = c->estimate.len > 0;
    s->top = (float)((256 << s->shift) - 1) * (1.0f / (float)(1 << s->shift));
    job->likelihood = 1;
    if (open_job(l, job)) {
        size_t length = c->learnt.len / s->channels;
        char *start = c->learnt.buf;
        for (int k = 0; k < s->channels; k++)
            memcpy(job->learnt[k].mixer, start + length * k, length);
        fill_planes(s, c->estimate.buf, c->state.buf);
        int64_t (*run_level)(Job *, Coder *, uint16_t *) =
            c->level == 0 ? code_fast : c->level == 1 ? code_default : code_best;
        done = run_level(job, coder, c->pixels.buf);
        for (int k = 0; k < s->channels; k++)
            memcpy(start + length * k, job->learnt[k].mixer, length);
    }
    close_job(job);
    fesetenv(&theirs);
    return done;
}

/* Whether a Python function raises. */
static int raises(void *function)
{
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *result = PyObject_CallObject(function, NULL);
    Py_XDECREF(result);
    PyGILState_Release(state);
    return !result;
}

static double bits_of(const Call *c) { return c->job.bits - log2(c->job.likelihood); }

/* code(..., data, size, decoding, cut, ask): how many pixels, bytes, and bits by the model. size: of
 * the data, or room; ask: called now and then, and what it raises ends the work; or None. */
static PyObject *code(PyObject *self, PyObject *args)
{
    Py_buffer data;
    Py_ssize_t size;
    PyObject *ask;
    int decoding, cut;
    Call c = {0};
    Coder coder;
    int64_t done;
    (void)self;
    if (!PyArg_ParseTuple(args, CALL "w*niiO", CALL_ARGS(c), &data, &size, &decoding, &cut, &ask))
        return NULL;
    if (ask != Py_None) c.job.ask = raises, c.job.whom = ask;
    Py_BEGIN_ALLOW_THREADS
    begin_coding(&coder, data.buf, size, decoding, cut);
    done = run(&c, &coder);
    if (done >= 0 && !decoding) end_encoding(&coder);
    Py_END_ALLOW_THREADS
    release_call(&c);
    PyBuffer_Release(&data);
    if (done == STOPPED) return NULL;
    if (done < 0) return PyErr_NoMemory();
    return Py_BuildValue("LLd", (long long)done, (long long)coder.at, bits_of(&c));
}

/* record(..., decisions): how many, which may be more than there is room for; bits by the model. */
static PyObject *record(PyObject *self, PyObject *args)
{
    Py_buffer decisions;
    Call c = {0};
    Coder coder;
    int64_t done;
    (void)self;
    if (!PyArg_ParseTuple(args, CALL "w*", CALL_ARGS(c), &decisions)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    begin_recording(&coder, decisions.buf, decisions.len / sizeof(uint32_t));
    done = run(&c, &coder);
    Py_END_ALLOW_THREADS
    release_call(&c);
    PyBuffer_Release(&decisions);
    if (done < 0) return PyErr_NoMemory();
    return Py_BuildValue("Ld", (long long)coder.at, bits_of(&c));
}

/* pop(..., states, words, count, at): words that are left, -1: they ran out; at: the place of the
 * first decision. */
static PyObject *pop(PyObject *self, PyObject *args)
{
    Py_buffer states, words;
    Py_ssize_t count, at;
    Call c = {0};
    Coder coder;
    int64_t done;
    (void)self;
    if (!PyArg_ParseTuple(args, CALL "w*w*nn", CALL_ARGS(c), &states, &words, &count, &at))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    begin_popping(&coder, (Stack){states.buf, states.len / 8, words.buf, count, 0}, at);
    done = run(&c, &coder);
    Py_END_ALLOW_THREADS
    release_call(&c);
    PyBuffer_Release(&states);
    PyBuffer_Release(&words);
    if (done < 0) return PyErr_NoMemory();
    return PyLong_FromLongLong(coder.sure ? coder.stack.count : -1);
}

/* push(decisions, states, words, count): words that there are then; there is room for them. */
static PyObject *push(PyObject *self, PyObject *args)
{
    Py_buffer decisions, states, words;
    Py_ssize_t count;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*w*w*n", &decisions, &states, &words, &count)) return NULL;
    Stack stack = {states.buf, states.len / 8, words.buf, count, 0};
    const uint32_t *decision = decisions.buf;
    Py_BEGIN_ALLOW_THREADS
    for (int64_t i = decisions.len / (int64_t)sizeof(uint32_t) - 1; i >= 0; i--)
        push_decision(&stack, i, decision[i]);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&decisions);
    PyBuffer_Release(&states);
    PyBuffer_Release(&words);
    return PyLong_FromLongLong(stack.count);
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
    {"record", record, METH_VARARGS, "Record a strip's decisions; returns their number and bits."},
    {"pop", pop, METH_VARARGS, "Decode a strip from a stack; returns the words left, or -1."},
    {"push", push, METH_VARARGS, "Push decisions on a stack; returns the number of words."},
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
