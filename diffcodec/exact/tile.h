/* A tile and its layer for one instruction set, included by convolve.c with the names defined. */

/* The sums of PIXELS pixels by `vectors` * LANES channels stay in registers: for every pair of
 * input channels each vector of weights is read once, each pair of activations spread over one. */
TARGET INLINE void NAME(dot)(const int16_t *const *pixel, Py_ssize_t pitch, int rows,
                             Py_ssize_t run, const int16_t *weight, Py_ssize_t stride,
                             const int32_t *bias, const int vectors, int32_t *sums,
                             Py_ssize_t apart)
{
    VECTOR acc[PIXELS][3];
    const char *from[PIXELS];
    for (int p = 0; p < PIXELS; p++) {
        from[p] = (const char *)pixel[p];
        for (int v = 0; v < vectors; v++)
            memcpy(&acc[p][v], (const VECTOR *)bias + v, sizeof(VECTOR));
    }
    for (Py_ssize_t y = 0; y < rows; y++)
        for (Py_ssize_t at = 2 * y * pitch, end = at + 2 * run; at < end; at += 4) {
            VECTOR w[3];
            for (int v = 0; v < vectors; v++)
                memcpy(&w[v], (const VECTOR *)weight + v, sizeof(VECTOR));
            for (int p = 0; p < PIXELS; p++) {
                int32_t pair;
                memcpy(&pair, from[p] + at, sizeof pair);
                VECTOR a = SPLAT(pair);
                for (int v = 0; v < vectors; v++) acc[p][v] = DOT(acc[p][v], w[v], a);
            }
            weight += stride;
        }
    for (int p = 0; p < PIXELS; p++)
        for (int v = 0; v < vectors; v++)
            memcpy((VECTOR *)(sums + p * apart) + v, &acc[p][v], sizeof(VECTOR));
}

TARGET static void NAME(tile)(const int16_t *const *pixel, Py_ssize_t pitch, int rows,
                              Py_ssize_t run, const int16_t *weight, const int32_t *bias,
                              int vectors, int32_t *sums)
{
    Py_ssize_t apart = vectors * LANES;
#if PARTS == 1
    if (vectors == 3)
        NAME(dot)(pixel, pitch, rows, run, weight, 2 * apart, bias, 3, sums, apart);
    else if (vectors == 2)
        NAME(dot)(pixel, pitch, rows, run, weight, 2 * apart, bias, 2, sums, apart);
    else
        NAME(dot)(pixel, pitch, rows, run, weight, 2 * apart, bias, 1, sums, apart);
#else
    for (int v = 0; v < vectors; v++)
        NAME(dot)(pixel, pitch, rows, run, weight + 2 * v * LANES, 2 * apart, bias + v * LANES,
                  PARTS, sums + v * LANES, apart);
#endif
}

TARGET INLINE void NAME(convolve)(const Layer *l, const int16_t *a, Py_ssize_t pitch,
                                  Py_ssize_t even, Py_ssize_t first, Py_ssize_t rows,
                                  Py_ssize_t width)
{
    convolve(l, a, pitch, even, first, rows, width, NAME(tile), PIXELS);
}

TARGET static int NAME(work)(const Layer *l, Py_ssize_t first, Py_ssize_t last)
{
    return work(l, first, last, 2, fill, NAME(convolve));
}

#undef NAME
#undef TARGET
#undef VECTOR
#undef PARTS
#undef PIXELS
#undef SPLAT
#undef DOT
