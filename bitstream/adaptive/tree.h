/* The decisions that lead to a sample's value.
 *
 * The range of values that are left is split near the blend's median, until one is left; every
 * expert says how its probability divides. tree.py mirrors this file.
 */

#define FLOOR 0.0015f /* of a probability */

/* Where the range is split: at the middle of the node by the blend's logistic; where that has no
 * more to say, ever further out, and then in two halves. */
INLINE int split_of(const Sample *p, const Decision *d, float steps, int least, int beyond, int end)
{
    if (d->depth < 7) {
        float split = (p->centre + p->scale * OFFSET[d->node]) * steps + 1.0f;
        return (int)within1(split, (float)(least + 1), (float)(beyond - 1));
    }
    if (d->depth < 12) {
        int step = (1 + (int)(p->scale * steps)) << (d->depth - 7);
        if (beyond == end && least + step < beyond) return least + step;
        if (least == 0 && beyond - step > 0) return beyond - step;
    }
    return (least + beyond) >> 1;
}

/* The value of a sample: coded, or decoded. likelihood: is multiplied by what it was given.
 *
 * An expert's chance that a value lies below an edge is a / (a + b) with b = 1, or 0 at the end. */
INLINE int code_value(Coder *coder, const Sample *p, const Around *a, int known, double *likelihood)
{
    const Level *l = p->l;
    float steps = (float)(1 << p->s->shift), unit = 1.0f / steps;
    int least = 0, end = 256 << p->s->shift, beyond = end;
    V low[2], high[2], open = all(0); /* a of both edges; b of the upper one */
    Decision d = {.node = 1};
    for (int e = 0; e < l->experts; e++) low[e] = all(0), high[e] = all(1);
    while (beyond - least > 1) {
        d.split = split_of(p, &d, steps, least, beyond, end);
        float edge = ((float)d.split - 0.5f) * unit;
        find_contexts(p, a, p->x, &d, edge);
        V here[2];
        for (int e = 0; e < l->experts; e++) {
            V z = within((edge - p->mean[e]) * p->inverse[e], -20.0f, 20.0f);
            here[e] = exp_2(z * 1.44269504f);
            V lower = 1.0f + low[e], upper = high[e] + open;
            V both = lower * upper, least_mass = FLOOR * (1.0f + here[e]) * both;
            V up = at_least(high[e] - here[e] * open, 0) * lower + least_mass;
            V down = at_least(here[e] - low[e], 0) * upper + least_mass;
            d.input[e] = 0.69314718f * (log_2(up) - log_2(down));
        }
        float *inputs = (float *)d.input;
        for (int k = lanes_used(l); k < LANES * l->experts; k++) inputs[k] = 0;
        uint32_t chance = mix(l, p->x, &d);
        int bit = decide(coder, chance, known >= d.split);
        *likelihood *= (bit ? chance : 65536 - chance) * (1.0 / 65536);
        W one = (W){0} - bit;
        for (int e = 0; e < l->experts; e++) {
            low[e] = choose(one, here[e], low[e]);
            high[e] = choose(one, high[e], here[e]);
        }
        open = choose(one, open, all(1));
        least = bit ? d.split : least;
        beyond = bit ? beyond : d.split;
        learn_decision(l, p->x, &d, (float)bit);
        d.node = d.node << 1 | bit;
        if (d.node >= NODES) d.node = 64 | (d.node & 63);
        d.depth++;
    }
    return least;
}
