/* A layer by dot products of four bytes, or of two int16 where it is wide: compiled for every
 * instruction set. PIXELS pixels by 2 * LANES channels have their sums in registers.
 *
 * D is a vector of LANES int32, X one of a pixel's bytes; DOT4 and DOT2 add to each lane the products of its four bytes, or
 * two int16, of weights and of the pixel's, which SPLAT4 puts into every lane.
 */
#include "finish.h"

#define WIDTH (2 * LANES)

/* run: bytes of a row of the kernel. pixels `apart` bytes from each other, rows at row[]. */
TARGET INLINE void NAME(sums)(const uint8_t *const *row, int64_t rows, int64_t run, int64_t apart,
                              const uint8_t *weight, const int wide, int32_t *sums)
{
    D a[PIXELS], b[PIXELS];
    for (int p = 0; p < PIXELS; p++) a[p] = b[p] = ZERO32;
    for (int64_t y = 0; y < rows; y++) {
        const uint8_t *at = row[y];
        for (int64_t i = 0; i < run; i += 4, weight += 8 * LANES) {
            D one = LOAD32(weight), two = LOAD32(weight + 4 * LANES);
            UNROLL
            for (int p = 0; p < PIXELS; p++) {
                X x = SPLAT4(at + i + p * apart);
                a[p] = wide ? DOT2(a[p], x, one) : DOT4(a[p], x, one);
                b[p] = wide ? DOT2(b[p], x, two) : DOT4(b[p], x, two);
            }
        }
    }
    for (int p = 0; p < PIXELS; p++) {
        STORE32(sums + p * LANES, a[p]);
        STORE32(sums + (PIXELS + p) * LANES, b[p]);
    }
}

/* `rows` rows of the output from y on, for all channels. */
TARGET INLINE void NAME(rows)(const Network *n, const Layer *l, int64_t y, int64_t rows,
                              const int wide)
{
    ALIGNED int32_t sums[2 * PIXELS * LANES];
    int64_t pixel = l->channels * (wide ? 2 : 1), run = l->kernel * pixel, width = out_width(l);
    const uint8_t *weight = n->weights + l->weight;
    Finish f = finish_of(n, l, NAME(run_of)(l));
    for (int64_t c = 0; c < l->outputs; c += WIDTH, weight += l->kernel * run * 2 * LANES)
        for (int64_t r = y; r < y + rows; r++) {
            Row row = row_at(n, l, r);
            for (int64_t x = 0; x < width; x += PIXELS, move(l, &row, PIXELS)) {
                NAME(sums)(row.from, l->kernel, run, l->stride * pixel, weight, wide, sums);
                f.run(&f, sums, sums + PIXELS * LANES, &row.at, 0, PIXELS, c);
            }
        }
}

TARGET static void NAME(wide_layer)(const Network *n, const Layer *l, int64_t y, int64_t rows)
{
    NAME(rows)(n, l, y, rows, 1);
}

TARGET static void NAME(layer)(const Network *n, const Layer *l, int64_t y, int64_t rows)
{
    if (l->wide)
        NAME(wide_layer)(n, l, y, rows);
    else
        NAME(rows)(n, l, y, rows, 0);
}

#undef NAME
#undef TARGET
#undef V
#undef D
#undef X
#undef LANES
#undef WIDTH
#undef PIXELS
#undef UNROLL
#undef LOAD
#undef STORE
#undef STORE_FAR
#undef ADDS
#undef PRODUCT
#undef MIN
#undef MAX
#undef SHIFT
#undef SPLAT
#undef BYTES
#undef SUMS
#undef ADD32
#undef ZERO32
#undef LOAD32
#undef STORE32
#undef SPLAT4
#undef DOT4
#undef DOT2
