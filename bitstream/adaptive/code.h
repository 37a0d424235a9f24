/* A whole strip, sample by sample. code.py mirrors this file. */

typedef struct {
    Strip strip;
    Learnt learnt[MOST_CHANNELS];
    Fits fits[MOST_CHANNELS];
    int groups, segments;
    V *work; /* a Gram */
    double likelihood, bits; /* of the last samples; -log2 of that of all before */
    int (*ask)(void *whom);  /* whether to stop, every ASK samples and more; or NULL */
    void *whom;
} Job;

#define ASK 16384
#define STOPPED (-2)

INLINE int class_of(const Sample *p, int kind)
{
    return kind == 0 ? clip(p->class_of[0] / 2 - 5, 0, CLASSES - 1) : p->around;
}

/* The borders left and right of a row, which is about to be coded, or was. */
INLINE void extend(const Strip *s, int row, int end)
{
    int64_t at = (int64_t)(row + ABOVE) * s->stride + BORDER;
    for (int c = 0; c < s->channels; c++)
        for (int k = 0; k < BORDER; k++) {
            float *plane = plane_of(s, RESIDUAL, c) + at, *to, *from;
            if (end) {
                plane[s->width + k] = plane[s->width - 1];
                to = errors_at(s, c, row, s->width + k), from = errors_at(s, c, row, s->width - 1);
            } else {
                plane[-1 - k] = plane[-s->stride];
                to = errors_at(s, c, row, -1 - k), from = errors_at(s, c, row - 1, 0);
            }
            memcpy(to, from, sizeof(float) * s->lanes);
        }
}

/* A statement for each number of groups there is, which is G in it and known to the compiler. */
#define WITH_GROUPS(groups, statement) \
    { \
    if ((groups) == 4) { enum { G = 4 }; statement; } \
    else if ((groups) == 3) { enum { G = 3 }; statement; } \
    else { enum { G = 2 }; statement; } \
    }

/* The bases of regressors: 0, and of every channel x0_hat, or the mean of neighbours. */
INLINE void find_bases(const Sample *p, float *bases)
{
    bases[0] = 0;
    for (int q = 0; q < p->s->channels; q++) {
        float near = there(p, RESIDUAL, q, 0, -1) + there(p, RESIDUAL, q, -1, 0);
        bases[1 + q] = p->s->with_state ? there(p, ESTIMATE, q, 0, 0) : 0.5f * near;
    }
}

/* What is known of a sample; class: those of the switched fits. */
INLINE void expect_sample(const Level *l, Job *job, Sample *p, V *sample, float base, int *class)
{
    const Strip *s = &job->strip;
    Fits *f = &job->fits[p->channel];
    int groups = job->groups;
    float above_base[MOST_FITS], *mean = (float *)p->mean;
    WITH_GROUPS(groups, for (int k = 0; k < l->fits; k++)
                            above_base[k] = predict(G, f->fit + k * G, sample))
    expect(p, base, above_base);
    for (int k = 0; k < l->switched; k++) {
        class[k] = class_of(p, k);
        const V *fit = f->class_fit + groups * (k * CLASSES + class[k]);
        float m = p->blend;
        if (f->class_seen[k][class[k]] >= CLASS_TRUSTED)
            WITH_GROUPS(groups, m = base + predict(G, fit, sample))
        mean[lane_switched(l) + k] = within1(m, 0, s->top);
    }
}

INLINE void code_sample(const Level *l, Job *job, Coder *coder, Sample *p, uint16_t *pixel)
{
    const Strip *s = &job->strip;
    int c = p->channel, groups = job->groups, class[2];
    int in_segment = p->column % SEGMENT, segment = p->column / SEGMENT;
    Fits *f = &job->fits[c];
    const Regressors *r = &f->regressors;
    V *whole = job->learnt[c].gram, *sample = f->sample + in_segment * groups;
    p->x = &job->learnt[c];
    if (in_segment == 0)
        WITH_GROUPS(groups, fit_segment(l, s->with_state, G, f, whole, job->work, segment,
                                        job->segments))
    float bases[1 + MOST_CHANNELS], *regressors = (float *)sample;
    find_bases(p, bases);
    for (int g = 0; g < groups; g++) sample[g] = all(0);
    for (int k = 0; k < r->n; k++)
        regressors[k] = s->planes[p->at + r->offset[k]] - bases[r->base[k]];
    float base = bases[1 + c];
    expect_sample(l, job, p, sample, base, class);
    Around around;
    look_around(p, &around);
    int value = code_value(coder, p, &around, *pixel, &job->likelihood);
    *pixel = (uint16_t)value;
    float found = (float)value * (1.0f / (float)(1 << s->shift));
    learn_value(p, found);
    plane_of(s, RESIDUAL, c)[p->at] = found - (s->with_state ? base : 0.0f);
    plane_of(s, MISS, c)[p->at] = found - p->blend;
    regressors[LANES * groups - 1] = found - base;
    float weight = 1.0f / (p->energy[0][0] + WEIGHT);
    f->weight[in_segment] = weight;
    for (int k = 0; k < l->switched; k++)
        WITH_GROUPS(groups, learn_class(G, f, k, class[k], sample, weight, job->work))
    if (in_segment == SEGMENT - 1 || p->column == s->width - 1)
        WITH_GROUPS(groups, end_segment(l, s->with_state, G, f, whole, job->work, segment,
                                        in_segment + 1))
}

/* Returns how many pixels were coded, or surely decoded; STOPPED if whom it asked said so. */
INLINE int64_t code_strip(const Level *l, Job *job, Coder *coder, uint16_t *pixels)
{
    const Strip *s = &job->strip;
    Sample p = {.s = s, .l = l};
    int since = 0;
    for (int i = 0; i < s->height; i++, since += s->width * s->channels) {
        if (job->ask && since >= ASK) {
            if (job->ask(job->whom)) return STOPPED;
            since = 0;
        }
        extend(s, i, 0);
        for (int j = 0; j < s->width; j++) {
            int64_t pixel = (int64_t)i * s->width + j;
            for (int c = 0; c < s->channels; c++) {
                p.channel = c, p.row = i, p.column = j;
                p.at = (int64_t)(i + ABOVE) * s->stride + BORDER + j;
                code_sample(l, job, coder, &p, pixels + pixel * s->channels + c);
                if (job->likelihood < 1e-100) {
                    job->bits -= log2(job->likelihood);
                    job->likelihood = 1;
                }
            }
            if (coder->decoding && !coder->sure) return pixel;
        }
        extend(s, i, 1);
    }
    return (int64_t)s->height * s->width;
}
