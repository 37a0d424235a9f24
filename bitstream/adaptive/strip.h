/* A strip of an image, what is known around a sample, and the regressors of its channels.
 *
 * Values are in 8-bit grey levels whatever the depth. Planes of every channel, in coding order:
 * residual x - x0_hat (without a state x itself), innovation y - x0_hat, x0_hat, and the miss of
 * the blend. strip.py mirrors this file.
 */
#include <stdlib.h>

#define MOST_CHANNELS 4
#define BORDER 8  /* columns on both sides */
#define ABOVE 3   /* rows above and below */
#define SEGMENT 16
#define RING 4    /* rows of squared errors that are kept */

enum { RESIDUAL, INNOVATION, ESTIMATE, MISS, KINDS };

/* Causal neighbours, nearest first, and all others: rows, columns. */
static const int BEFORE[24][2] = {
    {0, -1}, {-1, 0}, {-1, -1}, {-1, 1}, {0, -2}, {-2, 0}, {-1, -2}, {-2, -1},
    {-2, 1}, {-1, 2}, {0, -3}, {-3, 0}, {-2, -2}, {-2, 2}, {-3, -1}, {-3, 1},
    {-1, -3}, {-1, 3}, {0, -4}, {-3, -2}, {-2, -3}, {-2, 3}, {-3, 2}, {-1, -4}};
static const int AROUND[8][2] = {{0, -1}, {-1, 0}, {0, 1}, {1, 0}, {-1, -1}, {-1, 1}, {1, -1},
                                 {1, 1}};

typedef struct {
    int channels, height, width, shift; /* shift: bits of a sample beyond 8 */
    int with_state;
    int period, grid; /* of colours; grid: which of GRIDS, from 1, or 0 */
    float sigma, top;    /* of the noise of the state; the largest value */
    int stride;
    int64_t size; /* of a plane */
    float *planes;
    float *errors; /* squared ones of all experts: (RING, channels, stride, lanes) */
    int lanes;
} Strip;

/* Regressors of a channel: where they lie from a sample, and the base that is subtracted. */
typedef struct {
    int n, nested[3]; /* the first of them that are fits of their own */
    int64_t offset[MOST]; /* of narrow strips planes may have more than 2^31 singles */
    int base[MOST];
} Regressors;

INLINE float *plane_of(const Strip *s, int kind, int channel)
{
    return s->planes + (kind * s->channels + channel) * s->size;
}

/* What a neighbour's squared errors are, (lanes,). */
INLINE float *errors_at(const Strip *s, int channel, int row, int column)
{
    int64_t line = (int64_t)(row & (RING - 1)) * s->channels + channel;
    return s->errors + (line * s->stride + column + BORDER) * s->lanes;
}

static void add_regressor(const Strip *s, Regressors *r, int kind, int channel, const int at[2])
{
    if (r->n == r->nested[2]) return;
    r->offset[r->n] = (kind * s->channels + channel) * s->size + at[0] * s->stride + at[1];
    /* Bases: 0 nothing, 1 + q x0_hat of channel q here, or without a state the mean of its left
     * and upper neighbours. */
    r->base[r->n] = kind == ESTIMATE || !s->with_state ? 1 + channel : 0;
    r->n++;
}

/* The regressors of a channel, nearest first, at most `most` of them. */
static void choose_regressors(const Strip *s, int c, int most, Regressors *r)
{
    static const int here[2] = {0, 0}, beyond[2][2] = {{0, 2}, {2, 0}};
    static const int far_left[2][2] = {{0, -2}, {-2, 0}}, corners[2][2] = {{-1, 2}, {-1, -2}};
    int others = s->channels, state = s->with_state;
    *r = (Regressors){.nested = {0, 0, most}};
    for (int k = 0; k < 6; k++) add_regressor(s, r, RESIDUAL, c, BEFORE[k]);
    for (int q = 0; q < others; q++) {
        if (q < c) add_regressor(s, r, RESIDUAL, q, here);
        if (q > c && state) add_regressor(s, r, INNOVATION, q, here);
    }
    if (state) add_regressor(s, r, INNOVATION, c, here);
    for (int q = 0; q < others; q++)
        for (int k = 0; q != c && k < 2; k++) add_regressor(s, r, RESIDUAL, q, BEFORE[k]);
    r->nested[0] = r->n;
    for (int k = 6; k < 12; k++) add_regressor(s, r, RESIDUAL, c, BEFORE[k]);
    for (int q = 0; q < others; q++)
        for (int k = 2; q != c && k < 4; k++) add_regressor(s, r, RESIDUAL, q, BEFORE[k]);
    for (int k = 0; state && k < 8; k++) add_regressor(s, r, INNOVATION, c, AROUND[k]);
    for (int k = 0; state && k < 4; k++) add_regressor(s, r, ESTIMATE, c, AROUND[k]);
    r->nested[1] = r->n;
    for (int k = 12; k < (state ? 20 : 24); k++) add_regressor(s, r, RESIDUAL, c, BEFORE[k]);
    for (int q = 0; q < others; q++)
        for (int k = 0; q != c && k < 2; k++) add_regressor(s, r, RESIDUAL, q, far_left[k]);
    for (int q = 0; q < others; q++)
        for (int k = 0; q != c && !state && k < 2; k++)
            add_regressor(s, r, RESIDUAL, q, corners[k]);
    for (int k = 0; state && k < 2; k++) add_regressor(s, r, INNOVATION, c, beyond[k]);
    for (int k = 4; state && k < 8; k++) add_regressor(s, r, ESTIMATE, c, AROUND[k]);
    for (int q = 0; q < others; q++)
        for (int k = 0; q != c && state && k < 4; k++)
            add_regressor(s, r, ESTIMATE, q, AROUND[k]);
    r->nested[2] = r->n;
}
