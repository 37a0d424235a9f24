/* Normalisation for one instruction set, included by convolve.c with NAME and TARGET defined: as
 * normalisation.py. All integers are below 2^53, so that doubles hold them, products and sums too. */

/* u of n values. */
TARGET INLINE void NAME(reading)(const Normalisation *m, const int32_t *x, int32_t *u,
                                 Py_ssize_t n)
{
    int32_t bits = m->shift ? m->shift - 1 : 0, one = m->shift > 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        int32_t y = (x[i] >> m->shift) + (x[i] >> bits & one);
        y = y < -m->limit ? -m->limit : y;
        u[i] = y > m->limit ? m->limit : y;
    }
}

/* S1 and S2 of every window and channel, [windows down][across][c_in], of some rows of windows. */
TARGET static void NAME(sums)(const Normalisation *m, const Layer *l, Py_ssize_t first,
                              Py_ssize_t last)
{
    ALIGNED int32_t u[CHUNK];
    Py_ssize_t across = l->width / m->window;
    for (Py_ssize_t y = first * m->window; y < last * m->window; y++)
        for (Py_ssize_t x = 0; x < l->width; x++) {
            Py_ssize_t at = (y / m->window * across + x / m->window) * l->c_in;
            for (int s = 0; s < l->sources; at += l->channels[s++])
                for (Py_ssize_t c = 0; c < l->channels[s]; c += CHUNK) {
                    Py_ssize_t n = l->channels[s] - c < CHUNK ? l->channels[s] - c : CHUNK;
                    int64_t *restrict S1 = m->sums + at + c, *restrict S2 = m->squares + at + c;
                    NAME(reading)(m, l->source[s] + (y * l->width + x) * l->channels[s] + c, u, n);
                    for (Py_ssize_t i = 0; i < n; i++) S1[i] += u[i];
                    for (Py_ssize_t i = 0; i < n; i++) S2[i] += (int64_t)u[i] * u[i];
                }
        }
}

/* Activations of some rows, in int32. */
TARGET static void NAME(lines)(const Normalisation *m, const Layer *l, Py_ssize_t first,
                               Py_ssize_t last)
{
    ALIGNED int32_t u[CHUNK];
    ALIGNED int16_t a[CHUNK];
    Py_ssize_t across = l->width / m->window;
    int32_t *restrict out = l->out + first * l->width * l->c_in;
    for (Py_ssize_t y = first; y < last; y++)
        for (Py_ssize_t x = 0; x < l->width; x++) {
            Py_ssize_t at = (y / m->window * across + x / m->window) * l->c_in;
            for (int s = 0; s < l->sources; at += l->channels[s++])
                for (Py_ssize_t c = 0; c < l->channels[s]; c += CHUNK) {
                    Py_ssize_t n = l->channels[s] - c < CHUNK ? l->channels[s] - c : CHUNK;
                    const double *restrict A = m->factor + at + c, *restrict B = m->shifted + at + c;
                    NAME(reading)(m, l->source[s] + (y * l->width + x) * l->channels[s] + c, u, n);
                    for (Py_ssize_t i = 0; i < n; i++) {
                        double h = floor((A[i] * u[i] + B[i]) * m->unit);
                        h = h < -MOST ? -MOST : h;
                        u[i] = (int32_t)(h > MOST ? MOST : h);
                    }
                    activate(l, u, a, n);
                    for (Py_ssize_t i = 0; i < n; i++) out[i] = a[i];
                    out += n;
                }
        }
}

#undef NAME
#undef TARGET
