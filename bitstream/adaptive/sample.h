/* One sample: what is known of it, where experts expect it, and what they learn from it.
 *
 * sample.py mirrors this file.
 */

typedef struct {
    const Strip *s;
    const Level *l;
    const Learnt *x;
    int channel, row, column;
    int64_t at; /* of the sample in a plane */
    V mean[2], energy[2], inverse[2]; /* of the experts: grey levels, their square, 1.81 / scale */
    int class_of[2 * LANES];          /* of their energies */
    float base, blend, spread;        /* spread: mean square of the fits around the blend */
    float scale, centre;              /* of the blend */
    float root;                       /* inverse one of the blend's energy */
    V features, misses;               /* of the scale, of the filter */
    float w, n, nw, ne, nn, ww, nne;  /* samples around */
    int around;                       /* class of the texture, 0 .. 14 */
    int side;                         /* of the blend that neighbours lie on, 0 .. 15 */
    V marks;                          /* values that tables compare a split with */
} Sample;

INLINE float there(const Sample *p, int kind, int channel, int row, int column)
{
    return plane_of(p->s, kind, channel)[p->at + row * p->s->stride + column];
}

/* A sample that is coded, of a channel and a place. */
INLINE float value(const Sample *p, int channel, int row, int column)
{
    return there(p, RESIDUAL, channel, row, column) + there(p, ESTIMATE, channel, row, column);
}

/* The difference of two channels continued: x_c here is x_q here and what they differ by there. */
INLINE float along(const Sample *p, float neighbour, int q, int row, int column)
{
    return neighbour + value(p, q, 0, 0) - value(p, q, row, column);
}

INLINE float median(float w, float n, float nw)
{
    float most = w > n ? w : n, least = w > n ? n : w;
    return nw >= most ? least : nw <= least ? most : w + n - nw;
}

/* Means of classic predictors. */
INLINE void classic_means(const Sample *p, float *k)
{
    int c = p->channel, q = c > 0 ? c - 1 : 0, more = p->l->classic > 6;
    if (q > 1) q = 1;
    float w = p->w, n = p->n, nw = p->nw, ne = p->ne;
    k[0] = 0.5f * (w + n) + 0.25f * (ne - nw);
    k[1] = median(w, n, nw);
    k[2] = c == 0 ? w
                  : value(p, 0, 0, 0) + 0.5f * (w - value(p, 0, 0, -1) + n - value(p, 0, -1, 0));
    float near = there(p, RESIDUAL, c, 0, -1) + there(p, RESIDUAL, c, -1, 0);
    k[3] = p->s->with_state ? p->base + 0.5f * near : ne;
    k[4] = c == 0 ? n + ne - p->nne : c == 1 ? along(p, ne, 0, -1, 1) : along(p, w, q, 0, -1);
    k[5] = c == 0 ? nw : c == 1 ? along(p, nw, 0, -1, -1) : along(p, n, q, -1, 0);
    if (!more) return;
    k[6] = c == 0 ? w : along(p, w, 0, 0, -1);
    k[7] = c == 0 ? n : along(p, n, 0, -1, 0);
    k[8] = 2.0f * n - p->nn;
    k[9] = 2.0f * w - p->ww;
}

/* The experts' squared errors around: weighted means over 12 neighbours and coded channels here. */
INLINE void find_energies(Sample *p)
{
    static const float weight[12] = {1.0f, 1.0f, 0.6f, 0.6f, 0.5f, 0.5f,
                                     0.3f, 0.3f, 0.3f, 0.3f, 0.2f, 0.2f};
    float total = 5.8f; /* of the weights */
    for (int e = 0; e < p->l->experts; e++) p->energy[e] = all(0);
    for (int k = 0; k < 12; k++) {
        const V *q = (const V *)errors_at(p->s, p->channel, p->row + BEFORE[k][0],
                                          p->column + BEFORE[k][1]);
        for (int e = 0; e < p->l->experts; e++) p->energy[e] += weight[k] * q[e];
    }
    for (int c = 0; c < p->channel; c++) {
        const V *q = (const V *)errors_at(p->s, c, p->row, p->column);
        for (int e = 0; e < p->l->experts; e++) p->energy[e] += 1.5f * q[e];
        total += 1.5f;
    }
    for (int e = 0; e < p->l->experts; e++)
        p->energy[e] = p->energy[e] * (1.0f / total) + 0.001f;
}

/* Means of the fits and of all that does not follow from the blend; then the blend. */
INLINE void find_means(Sample *p, const float *fits)
{
    const Level *l = p->l;
    float *mean = (float *)p->mean, *energy = (float *)p->energy, most = p->s->top;
    float shares = 0, blend = 0, all_shares, all_blend;
    for (int e = 0; e < l->experts; e++) p->mean[e] = all(0);
    for (int k = 0; k < l->fits; k++) {
        float m = within1(p->base + fits[k], 0, most);
        float share = 1.0f / (energy[2 + k] * energy[2 + k]);
        mean[2 + k] = m;
        shares += share;
        blend += share * m;
    }
    mean[1] = blend / shares;
    mean[lane_estimate(l)] = p->base;
    mean[lane_state(l)] =
        p->s->with_state ? there(p, INNOVATION, p->channel, 0, 0) + p->base : p->ne;
    classic_means(p, mean + lane_classic(l));
    all_shares = 2.0f * shares;
    all_blend = 2.0f * blend;
    for (int k = lane_estimate(l); k < lane_pool(l); k++) {
        if (k == lane_filter(l)) continue;
        float share = 1.0f / (energy[k] * energy[k]);
        all_shares += share;
        all_blend += share * mean[k];
    }
    p->blend = within1(all_blend / all_shares, 0, most);
    mean[0] = p->blend;
    p->spread = 0;
    for (int k = 0; k < l->fits; k++) {
        float off = mean[2 + k] - p->blend;
        p->spread += off * off;
    }
    p->spread = p->spread * (1.0f / (float)l->fits);
    p->root = inverse_root_of(energy[0]);
}

/* The texture around: its direction and strength; on which side of the blend neighbours lie. */
INLINE void find_classes(Sample *p)
{
    int c = p->channel;
    float deviation = p->energy[0][0] * p->root;
    float across = __builtin_fabsf(p->w - p->ww) + __builtin_fabsf(p->n - p->nw) +
                   __builtin_fabsf(p->n - p->ne);
    float down = __builtin_fabsf(p->w - p->nw) + __builtin_fabsf(p->n - p->nn) +
                 __builtin_fabsf(p->ne - p->nne);
    float ratio = (across + 0.5f) / (down + 0.5f), strength = across + down;
    int direction = (ratio >= 0.4f) + (ratio >= 0.75f) + (ratio >= 1.33f) + (ratio >= 2.5f);
    p->around = 3 * direction + (strength >= 4.0f * deviation + 3.0f) +
                (strength >= 9.0f * deviation + 8.0f);
    float other = c > 0 ? there(p, MISS, 0, 0, 0) : there(p, MISS, p->s->channels > 1, 0, -1);
    p->side = (p->w > p->blend) | (p->n > p->blend) << 1 | (p->ne > p->blend) << 2 |
              (other > 0) << 3;
}

/* What the experts' misses nearby say of this one, the blend's mean included; and the lanes that
 * follow from the blend. */
INLINE void find_followers(Sample *p)
{
    const Level *l = p->l;
    int c = p->channel, n = 0;
    float *mean = (float *)p->mean, *energy = (float *)p->energy, *miss = (float *)&p->misses;
    float root = inverse_root_of(energy[0] + 0.1f), shares = 0, pool = 0;
    p->misses = all(0);
    for (int k = 0; k < 6; k++) miss[n++] = there(p, MISS, c, BEFORE[k][0], BEFORE[k][1]) * root;
    for (int k = 0; k < l->fits; k++) miss[n++] = (mean[2 + k] - p->blend) * root;
    miss[n++] = (p->base - p->blend) * root;
    if (p->s->with_state)
        miss[n] = (mean[lane_state(l)] - p->blend) * root / (1.0f + p->s->sigma * root);
    n++;
    if (c > 0) miss[n++] = there(p, MISS, 0, 0, 0) * root;
    if (c > 1) miss[n++] = there(p, MISS, 1, 0, 0) * root;
    mean[lane_filter(l)] = p->blend + sum(*(const V *)p->x->filter * p->misses) / root;
    for (int k = 2; k < lane_pool(l); k++) {
        float share = 1.0f / (energy[k] * energy[k] * energy[k]);
        shares += share;
        pool += share * mean[k];
    }
    mean[lane_pool(l)] = pool / shares;
    mean[lane_narrow(l)] = mean[lane_broad(l)] = p->blend;
    for (int e = 0; e < l->experts; e++) p->mean[e] = within(p->mean[e], 0, p->s->top);
    p->centre = mean[0];
}
