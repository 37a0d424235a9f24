/* From sums to activations: compiled for every kind of vectors.
 *
 * V is a vector of WIDTH int16, D one of LANES int32; SUMS shifts two vectors of sums and makes one of
 * them, whose columns are ordered so that channels follow each other (packed.py). ADDS saturates, PRODUCT is graph.py's product, and
 * BYTES stores a vector cut to 0 .. 255. Most layers' activations are bytes by the same function:
 * for those loops are compiled that ask nothing.
 */

/* The activation of a stream, times the scale. */
TARGET INLINE V NAME(activate)(V v, int activation, int fraction, V scale)
{
    if (activation == HARD_SWISH) {
        V t = ADDS(v, SPLAT((int16_t)(3 << fraction)));
        t = MIN(MAX(t, SPLAT(0)), SPLAT((int16_t)(6 << fraction)));
        v = PRODUCT(v, SHIFT(t, 12 - fraction));
    } else if (activation == RELU) {
        v = MAX(v, SPLAT(0));
    }
    return PRODUCT(v, scale);
}

/* Any layer. */
TARGET static void NAME(run_any)(const Finish *f, const int32_t *a, const int32_t *b,
                                 const Target *t, int first, int count, int64_t channel)
{
    V scale = LOAD(f->scale + channel), zero = LOAD(f->zero + channel);
    D one = LOAD32(f->shift + channel), two = LOAD32(f->shift + channel + LANES);
    D more = LOAD32(f->bias + channel), more_two = LOAD32(f->bias + channel + LANES);
    for (int p = first; p < first + count; p++, a += LANES, b += LANES) {
        V sum = SUMS(ADD32(LOAD32(a), more), one, ADD32(LOAD32(b), more_two), two);
        for (int i = 0; i < 1 + 3 * f->up; i++) {
            int64_t at = ((p << f->up) + (i & 1)) * f->apart + channel;
            int row = i >> 1;
            V v = f->adds ? ADDS(sum, LOAD(t->add[row] + at)) : sum;
            if (f->streams) STORE(t->stream[row] + at, v);
            if (!f->yields) continue;
            v = NAME(activate)(v, f->activation, f->fraction, scale);
            if (f->wide)
                STORE((int16_t *)t->to[row] + at, v);
            else
                BYTES(t->to[row] + at, ADDS(v, zero));
        }
    }
}

/* Bytes, each pixel once. */
TARGET INLINE void NAME(run_bytes)(const Finish *f, const int32_t *a, const int32_t *b,
                                   const Target *t, int first, int count, int64_t channel,
                                   const int activation, const int adds, const int streams)
{
    V scale = LOAD(f->scale + channel), zero = LOAD(f->zero + channel);
    D one = LOAD32(f->shift + channel), two = LOAD32(f->shift + channel + LANES);
    D more = LOAD32(f->bias + channel), more_two = LOAD32(f->bias + channel + LANES);
    int64_t apart = f->apart, at = first * apart + channel;
    int fraction = f->fraction;
    for (int p = 0; p < count; p++, a += LANES, b += LANES, at += apart) {
        V v = SUMS(ADD32(LOAD32(a), more), one, ADD32(LOAD32(b), more_two), two);
        if (adds) v = ADDS(v, LOAD(t->add[0] + at));
        if (streams && f->far)
            STORE_FAR(t->stream[0] + at, v);
        else if (streams)
            STORE(t->stream[0] + at, v);
        BYTES(t->to[0] + at, ADDS(NAME(activate)(v, activation, fraction, scale), zero));
    }
}

#define RUN(name, activation, adds, streams)                                                       \
    TARGET static void NAME(name)(const Finish *f, const int32_t *a, const int32_t *b,             \
                                  const Target *t, int first, int count, int64_t channel)          \
    {                                                                                              \
        NAME(run_bytes)(f, a, b, t, first, count, channel, activation, adds, streams);             \
    }
RUN(run_none, NONE, 0, 0)
RUN(run_none_stream, NONE, 0, 1)
RUN(run_none_add, NONE, 1, 0)
RUN(run_none_add_stream, NONE, 1, 1)
RUN(run_swish, HARD_SWISH, 0, 0)
RUN(run_swish_stream, HARD_SWISH, 0, 1)
RUN(run_swish_add, HARD_SWISH, 1, 0)
RUN(run_swish_add_stream, HARD_SWISH, 1, 1)
#undef RUN

/* The fastest for a layer. */
static Run *NAME(run_of)(const Layer *l)
{
    static Run *const bytes[2][4] = {
        {NAME(run_none), NAME(run_none_stream), NAME(run_none_add), NAME(run_none_add_stream)},
        {NAME(run_swish), NAME(run_swish_stream), NAME(run_swish_add), NAME(run_swish_add_stream)},
    };
    if (l->upsample || l->wide_out || l->to < 0 || l->activation == RELU) return NAME(run_any);
    return bytes[l->activation == HARD_SWISH][2 * (l->add >= 0) + (l->stream >= 0)];
}
