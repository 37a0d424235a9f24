/* Which form of a search this processor runs: for a source that has a type `Forward`, the functions
 * forward_portable and, where X86 is defined, forward_avx2 and forward_avx512, and Python's header.
 */
#ifndef INSTRUCTION_SETS_H
#define INSTRUCTION_SETS_H

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

#endif
