/* Contexts of a decision: which entries of tables and which weights have a say in it.
 *
 * contexts.py mirrors this file.
 */

/* Colours tend to lie on a grid: they were luminance and chrominance in whole numbers once. What
 * follows is in steps of a sample. */
typedef struct {
    int first, second; /* channels that are coded, or samples left and above */
    int left, up;      /* differences of this channel to the first, or of samples */
    int phase, second_phase;
    int known;         /* whether the grid of a third channel is known: */
    float from[3];     /* luminance and chrominance of the channels before, */
    float more[3];     /* and of a step of this one */
} Colours;

/* What the contexts of all decisions of a sample share. */
typedef struct {
    float inverse; /* of the blend's scale and a bit */
    float other; /* miss of the channel before */
    int near, state, scale;
    Colours colours;
} Around;

/* A decision that is to be made. */
typedef struct {
    int split, node, depth;
    V input[3];
    int chosen[MOST_SETS];     /* rows of mixing weights */
    Entry *entry[MOST_TABLES]; /* of tables */
    H logits;   /* of the sets */
    float mixed;
    int path;
    float *corrected[CORRECTIONS], wished[CORRECTIONS], between;
} Decision;

INLINE int whole(const Sample *p, float x)
{
    return (int)(x * (float)(1 << p->s->shift) + 0.5f);
}

INLINE void find_colours(const Sample *p, Colours *o)
{
    int c = p->channel, w = whole(p, p->w), n = whole(p, p->n), period = p->s->period;
    if (c == 0) {
        o->first = w, o->second = n;
        o->left = 0, o->up = whole(p, p->nw) - w;
    } else {
        o->first = whole(p, value(p, 0, 0, 0));
        o->second = c > 1 ? whole(p, value(p, 1, 0, 0)) : w;
        o->left = w - whole(p, value(p, 0, 0, -1)), o->up = n - whole(p, value(p, 0, -1, 0));
    }
    o->known = c == 2 && p->s->grid > 0;
    for (int k = 0; o->known && k < 3; k++) {
        const float *row = GRIDS[p->s->grid - 1][k];
        o->more[k] = row[2];
        o->from[k] = 512.0f + (row[0] * (float)o->first + row[1] * (float)o->second);
    }
    o->phase = o->first % period, o->second_phase = o->second % period;
}

INLINE int third_of(float x) { return (x >= -0.5f) + (x >= 0.5f); }

INLINE int seventh_of(float x)
{
    return (x >= -2.0f) + (x >= -1.0f) + (x >= -0.35f) + (x >= 0.35f) + (x >= 1.0f) + (x >= 2.0f);
}

INLINE int least_of(int a, int b) { return a < b ? a : b; }

INLINE void look_around(const Sample *p, Around *a)
{
    int c = p->channel, channels = p->s->channels;
    float w = there(p, MISS, c, 0, -1), n = there(p, MISS, c, -1, 0);
    float inverse = 1.0f / (p->scale + 0.1f);
    a->inverse = inverse;
    a->other = c > 0 ? there(p, MISS, 0, 0, 0) : there(p, MISS, channels > 1, 0, -1);
    a->near = third_of(w * inverse) + 3 * third_of(n * inverse) + 9 * third_of(a->other * inverse);
    if (p->s->with_state)
        a->state = seventh_of((p->base - p->centre) * inverse) +
                   7 * third_of(there(p, INNOVATION, c, 0, 0) * inverse);
    else
        a->state = seventh_of((p->w - p->centre) * inverse * 0.5f) +
                   7 * third_of((p->n - p->centre) * inverse * 0.3f);
    a->scale = clip((int)(2.0f * log_2_of(p->scale) + 70.0f) - 64, 0, 15);
    find_colours(p, &a->colours);
}

/* How far luminance and chrominance are from whole numbers: a number of 12 bits. */
INLINE int off_grid(const Colours *o, int t)
{
    int off = 0;
    for (int k = 0; o->known && k < 3; k++) {
        float at = o->from[k] + o->more[k] * (float)t;
        off = off * 16 | (int)((at - (float)(int)at) * 16.0f);
    }
    return off;
}

/* How often an entry was met, in six classes. */
INLINE int met(const Entry *e)
{
    float n = e->seen;
    return (n >= 1.0f) + (n >= 2.0f) + (n >= 4.0f) + (n >= 10.0f) + (n >= 30.0f);
}

/* The slot of a hashed table for three numbers of 18, 18 and 17 bits, and a channel. */
INLINE uint32_t slot_of(int bits, int a, int b, int c)
{
    uint64_t low = (uint64_t)(a & 0x3ffff), middle = (uint64_t)(b & 0x3ffff);
    uint64_t key = low | middle << 18 | (uint64_t)(c & 0x1ffff) << 36;
    return (uint32_t)((key * 0x9e3779b97f4a7c15u) >> (64 - bits));
}

/* Contexts of the tables, of the sets. */
INLINE void find_contexts(const Sample *p, const Around *a, const Learnt *x, Decision *d,
                          float edge)
{
    const Level *l = p->l;
    const Colours *o = &a->colours;
    int c = p->channel, t = d->split, bits = x->bits;
    int node = least_of(d->node, 63), fewer = least_of(node, 15), depth = least_of(d->depth, 2);
    int byte = t >> p->s->shift & 255, d0 = t - o->first;
    W q = seventh((edge - p->marks) * a->inverse);
    int plain[PLAIN] = {
        byte | (node > 1) << 8 | (a->scale >> 1 & 1) << 9,
        q[6] + 7 * q[7] + 49 * fewer,
        q[8] + 7 * q[9] + 49 * q[10] + 343 * depth,
        q[0] + 7 * q[1] + 49 * q[2] + 343 * depth,
        q[11] + 7 * q[12] + 49 * q[13] + 343 * depth};
    uint32_t hashed[MOST_TABLES - PLAIN] = {
        slot_of(bits, d0, o->second - o->first, o->phase),
        slot_of(bits, t, o->first, o->second),
        slot_of(bits, off_grid(o, t), node > 1, o->known),
        slot_of(bits, d0, o->second - o->first, 0),
        slot_of(bits, t, o->first, 0),
        slot_of(bits, t, o->second, 0),
        c == 0 ? slot_of(bits, t - o->second, 0, o->second_phase)
        : c == 1 ? slot_of(bits, d0, o->left, o->phase)
                 : slot_of(bits, t - o->second, o->left, o->second_phase),
        c < 2 ? slot_of(bits, d0, 0, o->phase) : slot_of(bits, d0, o->left, o->phase),
        slot_of(bits, d0, o->up, o->phase)};
    for (int k = 0; k < l->tables; k++) {
        d->entry[k] = k < PLAIN ? x->plain + SLOTS * k + (plain[k] & (SLOTS - 1))
                                : x->hashed + ((int64_t)(k - PLAIN) << bits) + hashed[k - PLAIN];
        __builtin_prefetch(d->entry[k], 1);
    }
    int set[MOST_SETS] = {
        16 * a->scale + fewer,
        16 * p->side + fewer,
        16 * p->around + fewer,
        16 * a->state + fewer,
        0,
        16 * a->near + fewer,
        d->depth < 6 ? d->node : 64 + (d->node & 63)};
    if (l->sets > 4) set[4] = 16 * (met(d->entry[5]) + 6 * met(d->entry[6])) + fewer;
    for (int k = 0, first = 0; k < l->sets; first += SET_SIZE[k++]) d->chosen[k] = first + set[k];
    int deep = least_of(d->depth, 7);
    int value[CORRECTIONS] = {set[6], 8 * a->scale + deep, byte | (node > 1) << 8};
    for (int k = 0; k < CORRECTIONS; k++)
        d->corrected[k] = x->correction + BINS * (VALUES * k + value[k]);
    d->path = deep + 8 * (a->scale >> 2);
    for (int k = 0; k < l->sets; k++)
        for (int e = 0; e <= l->experts; e++)
            __builtin_prefetch(x->mixer + (d->chosen[k] * (l->experts + 1) + e) * LANES, 1);
}
