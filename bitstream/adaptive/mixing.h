/* A decision's chance: the experts' logits and the tables' offsets, mixed by sets of weights that
 * contexts choose, the sets by a last one; and what all of them learn of the outcome.
 *
 * mixing.py mirrors this file.
 */

#define LEARN 0.03f        /* step of the mixing weights at first, */
#define LEARN_LEAST 0.0019f /* and after many decisions */
#define LEARN_FALL 0.006f
#define LEARN_LAST 0.0011f
#define LEARN_ENTRY 0.45f    /* of a table's entry, after many decisions; */
#define LEARN_ENTRY_FIRST 6.0f /* and a share more at first */
#define LEARN_CORRECTION 0.02f
#define POWER 0.0012f

#define SQUASHED 4096
static float SQUASH[SQUASHED + 2], OFFSET[NODES];

/* Tables of the logistic function, and of the logistic's quantiles at the middles of nodes. */
static void fill_tables(void)
{
    for (int k = 0; k < SQUASHED + 2; k++)
        SQUASH[k] = logistic_of((float)(k - SQUASHED / 2) * (1.0f / 170.0f));
    for (int depth = 0, node = 1; depth < 7; depth++)
        for (int k = 0; k < 1 << depth; k++, node++) {
            float rank = (float)(2 * k + 1), all_ranks = (float)(2 << depth);
            OFFSET[node] = log_2_of(rank / (all_ranks - rank)) * 0.38214f;
        }
}

/* The chance of a logit within -11 .. 11. */
INLINE float squash(float logit)
{
    float at = logit * 170.0f + (float)(SQUASHED / 2);
    int k = (int)at;
    return SQUASH[k] + (SQUASH[k + 1] - SQUASH[k]) * (at - (float)k);
}

/* The chance, in 1/65536, that the value is at least the split. */
INLINE uint32_t mix(const Level *l, const Learnt *x, Decision *d)
{
    int inputs = l->experts + 1;
    float offset[LANES] = {0};
    for (int k = 0; k < l->tables; k++) offset[k] = d->entry[k]->offset;
    offset[LANES - 1] = 0.3f;
    memcpy(&d->input[l->experts], offset, sizeof(V));
    V products[8];
    for (int k = 0; k < 8; k++) {
        if (k >= l->sets) {
            products[k] = all(0);
            continue;
        }
        const V *w = (const V *)x->mixer + d->chosen[k] * inputs;
        products[k] = w[0] * d->input[0];
        for (int e = 1; e < inputs; e++) products[k] += w[e] * d->input[e];
    }
    H logits = sums(products);
    d->logits = logits;
    for (int k = 0; k < 8; k++) d->logits[k] = within1(logits[k], -11.0f, 11.0f);
    d->mixed = within1(sum_of_eight(((const H *)x->last)[d->path] * d->logits), -11.0f, 11.0f);
    float place = within1(d->mixed * 2.0f + 16.0f, 0, 31.99f);
    int low = (int)place;
    d->between = place - (float)low;
    for (int k = 0; k < CORRECTIONS; k++) {
        const float *wish = d->corrected[k] += low;
        d->wished[k] = wish[0] + (wish[1] - wish[0]) * d->between;
    }
    float answer = 0.5f * d->mixed + (d->wished[0] + d->wished[1] + d->wished[2]) * (1.0f / 6.0f);
    return (uint32_t)clip((int)(squash(within1(answer, -11.0f, 11.0f)) * 65536.0f), 1, 65535);
}

/* Everything that had a part in a decision learns of its outcome. */
INLINE void learn_decision(const Level *l, const Learnt *x, Decision *d, float bit)
{
    int inputs = l->experts + 1;
    float miss = bit - squash(d->mixed);
    H *last = (H *)x->last + d->path;
    V *power = (V *)x->power, step[3];
    *last += (LEARN_LAST * miss) * d->logits;
    for (int e = 0; e < inputs; e++) {
        V moved = miss * d->input[e];
        power[e] += (moved * moved - power[e]) * POWER;
        step[e] = d->input[e] * inverse_root(power[e] + 0.004f);
    }
    for (int k = 0; k < l->sets; k++) {
        float *rate = x->rate + d->chosen[k], share = (bit - squash(d->logits[k])) * *rate;
        V *w = (V *)x->mixer + d->chosen[k] * inputs;
        for (int e = 0; e < inputs; e++) w[e] += share * step[e];
        *rate += (LEARN_LEAST - *rate) * LEARN_FALL;
    }
    for (int k = 0; k < CORRECTIONS; k++) {
        float wished = within1(d->wished[k], -11.0f, 11.0f);
        float share = (bit - squash(wished)) * LEARN_CORRECTION;
        *(Pair *)d->corrected[k] += share * (Pair){1.0f - d->between, d->between};
    }
    V off = bit - logistic(d->input[l->experts] + d->input[0][0]);
    for (int k = 0; k < l->tables; k++) {
        Entry *e = d->entry[k];
        float more = e->offset + off[k] * (LEARN_ENTRY_FIRST / (e->seen + 1.5f) + LEARN_ENTRY);
        e->offset = within1(more, -12.0f, 12.0f);
        e->seen = e->seen < 255.0f ? e->seen + 1.0f : 255.0f;
    }
}
