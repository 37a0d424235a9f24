/* Means by least squares: windows over what was coded, and classes of samples.
 *
 * fits.py mirrors this file.
 */

#define LOCAL_STATE 0.92f /* of a row; a segment further counts the next of these */
#define LOCAL 0.82f
static const float SPREAD_STATE[4] = {1.0f, 0.6f, 0.36f, 0.216f};
static const float SPREAD[4] = {1.0f, 0.4f, 0.16f, 0.0f};
#define WIDE 0.95f
static const float SPREAD_WIDE[4] = {1.0f, 0.8f, 0.64f, 0.512f};
#define WHOLE 0.9995f /* of a segment */
#define WHOLE_EVERY 4 /* segments */
#define WEIGHT 0.35f
#define CLASS_FIRST 16
#define CLASS_EVERY 32
#define CLASS_HALVE 4096
#define CLASS_TRUSTED 60 /* samples from which a class's fit is used */

/* Of a channel. */
typedef struct {
    Regressors regressors;
    V *local, *wide; /* (segments of a row, VECTORS) sums */
    V *classes;      /* (switched, CLASSES, VECTORS) */
    V *class_fit;    /* (switched, CLASSES, groups) */
    int class_seen[2][CLASSES];
    V fit[MOST_FITS * MOST_GROUPS];
    V sample[SEGMENT * MOST_GROUPS]; /* regressors of a segment's samples, targets last */
    float weight[SEGMENT];
} Fits;

INLINE void solve(int groups, V *work, const Regressors *r, V *fit, int first, int last)
{
    factorise(groups, work, r->nested[last]);
    for (int k = first; k <= last; k++)
        weights_of(groups, work, r->nested[k], fit + (k - first) * groups);
}

/* The sum over segments near one. */
INLINE void gather(int groups, V *work, const V *window, const float *share, int segment,
                   int segments)
{
    int vectors = VECTORS(groups);
    for (int k = 0; k < vectors; k++) work[k] = all(0);
    for (int s = segment - 3; s <= segment + 3; s++) {
        if (s < 0 || s >= segments) continue;
        float part = share[s < segment ? segment - s : s - segment];
        if (part == 0) continue;
        for (int k = 0; k < vectors; k++) work[k] += part * window[vectors * s + k];
    }
}

/* New fits at the beginning of a segment. */
INLINE void fit_segment(const Level *l, int with_state, int groups, Fits *f, const V *whole,
                        V *work, int segment, int segments)
{
    const Regressors *r = &f->regressors;
    int first = l->fits > 2 ? 0 : 1, last = l->fits > 2 ? 2 : 1;
    V *fit = f->fit;
    gather(groups, work, f->local, with_state ? SPREAD_STATE : SPREAD, segment, segments);
    solve(groups, work, r, fit, first, last);
    fit += (last - first + 1) * groups;
    if (segment % WHOLE_EVERY == 0) {
        for (int k = 0; k < VECTORS(groups); k++) work[k] = whole[k];
        solve(groups, work, r, fit, 1, last);
    }
    if (!l->wide) return;
    fit += last * groups;
    gather(groups, work, f->wide, SPREAD_WIDE, segment, segments);
    solve(groups, work, r, fit, last, last);
}

/* At the end of a segment of n samples. */
INLINE void end_segment(const Level *l, int with_state, int groups, Fits *f, V *whole, V *work,
                        int segment, int n)
{
    int at = VECTORS(groups) * segment;
    sum_products(groups, work, f->sample, f->weight, n);
    fold_in(groups, f->local + at, with_state ? LOCAL_STATE : LOCAL, work);
    if (l->wide) fold_in(groups, f->wide + at, WIDE, work);
    fold_in(groups, whole, WHOLE, work);
}

/* A sample of a class is known: sums, and now and then another fit. */
INLINE void learn_class(int groups, Fits *f, int kind, int class, const V *sample, float weight,
                        V *work)
{
    int at = kind * CLASSES + class, vectors = VECTORS(groups), *seen = &f->class_seen[kind][class];
    V *sums = f->classes + vectors * at;
    sum_products(groups, work, sample, &weight, 1);
    fold_in(groups, sums, 1.0f, work);
    ++*seen;
    if (*seen % CLASS_EVERY == 0 || *seen == CLASS_FIRST) {
        for (int k = 0; k < vectors; k++) work[k] = sums[k];
        solve(groups, work, &f->regressors, f->class_fit + groups * at, 2, 2);
    }
    if (*seen % CLASS_HALVE == 0)
        for (int k = 0; k < vectors; k++) sums[k] = sums[k] * 0.5f;
}
