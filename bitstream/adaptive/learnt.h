/* What the model learns of a channel, and starts from: one run of singles. learnt.py mirrors it. */

/* Of a table: what is added to the blend's logit, and how often it was. */
typedef struct {
    float offset, seen;
} Entry;

typedef struct {
    float *mixer;      /* (contexts of all sets, inputs) weights */
    float *rate;       /* (contexts of all sets,) at which they learn */
    float *power;      /* (inputs,) mean square of what moves the weights */
    float *last;       /* (PATHS, 8) weights of the sets */
    Entry *plain;      /* (PLAIN, SLOTS) */
    float *correction; /* (3, VALUES, BINS) logits */
    float *factor;     /* (SCALES, lanes) of a local squared error */
    float *scale;      /* (16,) weights of the scale's features */
    float *filter;     /* (16,) weights of the filter of misses */
    V *gram;           /* of the whole strip so far */
    Entry *hashed;     /* (tables, 2^bits); this alone is empty at first */
    int bits;
} Learnt;

INLINE int inputs_of(const Level *l) { return LANES * (l->experts + 1); }

INLINE int contexts_of(const Level *l)
{
    int n = 0;
    for (int s = 0; s < l->sets; s++) n += SET_SIZE[s];
    return n;
}

/* Where everything lies in a run of singles; returns how many there are. */
INLINE int64_t lay_out(const Level *l, float *at, Learnt *x)
{
    float *begin = at;
    x->mixer = at, at += contexts_of(l) * inputs_of(l);
    x->rate = at, at += contexts_of(l);
    x->power = at, at += inputs_of(l);
    x->last = at, at += PATHS * 8;
    x->plain = (Entry *)at, at += 2 * PLAIN * SLOTS;
    x->correction = at, at += CORRECTIONS * VALUES * BINS;
    x->factor = at, at += SCALES * LANES * l->experts;
    x->scale = at, at += FILTER;
    x->filter = at, at += FILTER;
    x->gram = (V *)at, at += LANES * VECTORS(MOST_GROUPS);
    return at - begin;
}
