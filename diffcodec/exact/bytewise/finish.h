/* From sums to activations, a pixel at a time: compiled for every kind of vectors.
 *
 * V is a vector of WIDTH int16; SUMS makes one of two vectors of sums, whose columns are ordered so
 * that channels follow each other (packed.py). ADDS saturates, PRODUCT is graph.py's product, and
 * BYTES stores a vector cut to 0 .. 255.
 */

/* Stream and activations of a pixel. */
TARGET INLINE void NAME(yield)(const Finish *f, V v, uint8_t *to, int16_t *stream,
                               const int16_t *add)
{
    if (add) v = ADDS(v, LOAD(add));
    if (stream) STORE(stream, v);
    if (!to) return;
    if (f->activation == HARD_SWISH) {
        V t = ADDS(v, SPLAT((int16_t)(3 << f->fraction)));
        t = MIN(MAX(t, SPLAT(0)), SPLAT((int16_t)(6 << f->fraction)));
        v = PRODUCT(v, SHIFT(t, 12 - f->fraction));
    } else if (f->activation == RELU) {
        v = MAX(v, SPLAT(0));
    }
    v = PRODUCT(v, LOAD(f->scale));
    if (f->wide)
        STORE((int16_t *)to, v);
    else
        BYTES(to, ADDS(v, LOAD(f->zero)));
}

/* One pixel, of sums `a` and `b`; t goes on to the next one. */
TARGET INLINE void NAME(finish)(const Finish *f, const int32_t *a, const int32_t *b, Target *t)
{
    V v = SUMS(a, b, f->shift);
    if (!f->up) {
        NAME(yield)(f, v, t->to[0], t->stream[0], t->add[0]);
    } else {
        for (int i = 0; i < 4; i++) {
            int64_t at = i & 1 ? f->apart : 0;
            int row = i >> 1;
            NAME(yield)(f, v, t->to[row] ? t->to[row] + (at << f->wide) : NULL,
                        t->stream[row] ? t->stream[row] + at : NULL,
                        t->add[row] ? t->add[row] + at : NULL);
        }
    }
    for (int i = 0; i <= f->up; i++) {
        int64_t step = f->apart << f->up;
        if (t->to[i]) t->to[i] += step << f->wide;
        if (t->stream[i]) t->stream[i] += step;
        if (t->add[i]) t->add[i] += step;
    }
}
