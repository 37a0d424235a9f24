/* How far from their means experts expect a sample, and what they learn of its value.
 *
 * scales.py mirrors this file.
 */

#define LEARN_SCALE 0.0008f
#define LEARN_FILTER 0.008f
#define LEARN_FACTOR 0.008f


/* Half the logarithms of energies, relative to the blend's, weighted: that of its scale. */
INLINE float learnt_scale(Sample *p)
{
    const Strip *s = p->s;
    int c = p->channel, i = p->row, j = p->column, others = c > 0, more = c > 1;
    float x = p->base, far = 0;
    float gx = 0, gy = 0, gl = 0, off = p->base - p->blend, z = 0;
    if (s->with_state) {
        float left = there(p, ESTIMATE, c, 0, -1), right = there(p, ESTIMATE, c, 0, 1);
        float up = there(p, ESTIMATE, c, -1, 0), down = there(p, ESTIMATE, c, 1, 0);
        gx = right - left, gy = down - up, gl = (right + left) + (down + up) - 4.0f * x;
        z = (there(p, INNOVATION, c, 0, 0) + x - p->blend) / s->sigma;
    }
    for (int row = 0; row < 3; row++)
        for (int column = -3; column <= (row ? 3 : -1); column++)
            far += *errors_at(s, c, i - row, j + column);
    V q = {1.0f,
           p->energy[0][0] + 0.02f,
           (*errors_at(s, c, i, j - 1) + *errors_at(s, c, i - 1, j)) * 0.5f + 0.1f,
           others ? *errors_at(s, 0, i, j) + 0.1f : 1.0f,
           more ? *errors_at(s, 1, i, j) + 0.1f : 1.0f,
           gx * gx + gy * gy + 0.5f,
           gl * gl + 0.5f,
           p->spread + 0.02f,
           off * off + 0.05f,
           z * z + 0.05f,
           far * (1.0f / 17.0f) + 0.02f,
           1.0f, 1.0f, 1.0f, 1.0f, 1.0f};
    V halves = 0.34657359f * log_2(q), relative = halves - halves[1];
    float *f = (float *)&p->features;
    p->features = relative;
    f[0] = 1.0f;
    f[1] = halves[1];
    if (!others) f[3] = 0;
    if (!more) f[4] = 0;
    f[9] = s->with_state ? halves[9] : 0;
    for (int k = 11; k < LANES; k++) f[k] = 0;
    return sum(*(const V *)p->x->scale * p->features);
}

/* The experts' scales: learnt factors of local energies; the blend's own; the state's noise. */
INLINE void find_scales(Sample *p)
{
    const Level *l = p->l;
    float *inverse = (float *)p->inverse;
    for (int e = 0; e < l->experts; e++) {
        W class = AS_INTEGERS(2.0f * log_2(p->energy[e]) + 64.0f) - 48;
        for (int k = 0; k < LANES; k++) {
            int z = clip(class[k], 0, SCALES - 1), lane = LANES * e + k;
            p->class_of[lane] = z;
            inverse[lane] = p->x->factor[z * LANES * l->experts + lane];
        }
        p->inverse[e] = 1.8138f * inverse_root(p->energy[e] * p->inverse[e] + 0.002f);
    }
    float least = -3.0f - 0.69314718f * (float)p->s->shift;
    float logarithm = within1(learnt_scale(p), least, 4.5f);
    float blend = exp_2_of(logarithm * -1.44269504f);
    p->scale = 1.0f / blend;
    inverse[0] = 1.8138f * blend;
    inverse[lane_narrow(l)] = 1.6f * inverse[0];
    inverse[lane_broad(l)] = 0.6f * inverse[0];
    if (p->s->with_state) inverse[lane_state(l)] = 1.8138f / p->s->sigma;
}

/* What tables compare a split with. */
INLINE void find_marks(Sample *p)
{
    const float *mean = (const float *)p->mean, *k = mean + lane_classic(p->l);
    int c = p->channel, state = p->s->with_state;
    float trend = state ? p->base : p->w + p->n - p->nw;
    float last = state ? there(p, INNOVATION, c, 0, 0) + p->base
                       : c > 0 ? along(p, p->w, 0, 0, -1) : p->ne;
    p->marks = (V){p->w, p->n, p->ne, p->nw, p->nn, p->ww, trend, last,
                   k[2], k[1], k[0], p->blend, mean[3], mean[2]};
}

/* Everything that is known before the first decision. fits: what they say above the base. */
INLINE void expect(Sample *p, float base, const float *fits)
{
    int c = p->channel;
    p->base = base;
    p->w = value(p, c, 0, -1), p->n = value(p, c, -1, 0), p->nw = value(p, c, -1, -1);
    p->ne = value(p, c, -1, 1), p->nn = value(p, c, -2, 0), p->ww = value(p, c, 0, -2);
    p->nne = value(p, c, -2, 1);
    find_energies(p);
    find_means(p, fits);
    find_classes(p);
    find_followers(p);
    find_scales(p);
    find_marks(p);
}

/* The experts' errors, factors, the scale and the filter learn the value, in grey levels. */
INLINE void learn_value(const Sample *p, float found)
{
    const Level *l = p->l;
    int lanes = LANES * l->experts;
    const float *mean = (const float *)p->mean;
    V *errors = (V *)errors_at(p->s, p->channel, p->row, p->column);
    for (int e = 0; e < l->experts; e++) {
        V off = found - p->mean[e], factor;
        float *f = (float *)&factor;
        errors[e] = off * off;
        for (int k = 0; k < LANES; k++)
            f[k] = p->x->factor[p->class_of[LANES * e + k] * lanes + LANES * e + k];
        V much = errors[e] / ((p->energy[e] + 0.0009f) * factor) - 1.0f;
        factor = within(factor * (1.0f + LEARN_FACTOR * within(much, -1.0f, 6.0f)), 0.05f, 8.0f);
        for (int k = 0; k < LANES; k++)
            p->x->factor[p->class_of[LANES * e + k] * lanes + LANES * e + k] = f[k];
    }
    /* The derivative of -ln of the logistic's density, or of its mass on a bin, by ln scale. */
    float inverse = 1.8138f / p->scale, off = (found - p->centre) * inverse, slope;
    float half = 0.5f / (float)(1 << p->s->shift);
    if (p->scale >= 1.2f * half) {
        float size = __builtin_fabsf(off);
        slope = 1.0f - size * (2.0f * logistic_of(size) - 1.0f);
    } else {
        float up = (found - p->centre + half) * inverse;
        float down = (found - p->centre - half) * inverse;
        float mass_up = logistic_of(up), mass_down = logistic_of(down);
        slope = (mass_up * (1.0f - mass_up) * up - mass_down * (1.0f - mass_down) * down) /
                (mass_up - mass_down + 1e-6f);
    }
    *(V *)p->x->scale -= (LEARN_SCALE * within1(slope, -3.0f, 3.0f)) * p->features;
    float root = inverse_root_of(p->energy[0][0] + 0.1f);
    float share = within1((found - mean[lane_filter(l)]) * root, -3.0f, 3.0f);
    V squares = p->misses * p->misses;
    *(V *)p->x->filter += (LEARN_FILTER * share / (1.0f + sum(squares))) * p->misses;
}
