/* Layers of one resolution, a few rows of each at a time: their rows stay in the cache. */

#define STEP 2 /* rows of a layer's output at a time: plan.py makes room for so many */

typedef void Rows(const Network *n, const Layer *l, int64_t y, int64_t rows);

/* Rows y .. y + rows - 1 of what a layer yields; all of an upsampling layer's in pairs. */
static void compute(const Network *n, const Layer *l, int64_t y, int64_t rows, Rows *of_set)
{
    of_set(n, l, y >> l->upsample, rows >> l->upsample);
    if (l->to >= 0) { /* the pixel after the last, where a strip may have gone on */
        int64_t pixel = l->outputs << l->wide_out;
        int64_t end = (out_width(l) << l->upsample) + 1;
        const uint8_t *border = n->memory + l[1].border;
        for (int64_t r = y; r < y + rows; r++)
            memcpy(n->memory + l->to + r % l->to_rows * l->to_pitch + end * pixel, border, pixel);
    }
    for (int64_t r = y; l->final && r < y + rows; r++) {
        const int16_t *row = (const int16_t *)(n->memory + l->stream +
                                               r % l->stream_rows * l->stream_pitch);
        int16_t *out = n->out + r * out_width(l) * l->final;
        for (int64_t x = 0; x < out_width(l); x++)
            memcpy(out + x * l->final, row + x * l->outputs, sizeof(int16_t) * l->final);
    }
}

/* Rows of the input that a layer needs for rows begin .. end - 1 of what it yields. */
INLINE void needs(const Layer *l, int64_t *begin, int64_t *end)
{
    int64_t edge = l->kernel / 2;
    *begin = (*begin >> l->upsample) * l->stride - edge;
    *end = (((*end + l->upsample) >> l->upsample) - 1) * l->stride + edge + 1;
    if (*begin < 0) *begin = 0;
    if (*end > l->height) *end = l->height;
}

/* Rows begin .. end - 1 of what the layer `last` yields, from the input of the layer `first`.
 * Every layer in between starts where the one after it will need it, and runs ahead of it by what
 * it reaches. */
static void chain(const Network *n, int64_t first, int64_t last, int64_t begin, int64_t end,
                  Rows *of_set)
{
    int64_t done[LAYERS] = {0}, ends[LAYERS] = {0};
    const Layer *l = n->layers + first;
    int64_t count = last - first + 1;
    for (int64_t k = count - 1; k >= 0; k--) {
        if (l[k].upsample) begin &= ~(int64_t)1, end = (end + 1) & ~(int64_t)1;
        done[k] = begin;
        ends[k] = end;
        needs(&l[k], &begin, &end);
    }
    if (count == 1 && !l->final) { /* all rows of the output are there */
        compute(n, l, done[0], ends[0] - done[0], of_set);
        return;
    }
    while (done[count - 1] < ends[count - 1])
        for (int64_t k = 0; k < count; k++) {
            int64_t rows = ends[k] - done[k] < STEP ? ends[k] - done[k] : STEP;
            for (; k && rows > 0; rows--) {
                int64_t from = done[k], to = done[k] + rows;
                needs(&l[k], &from, &to);
                if (to <= done[k - 1]) break;
            }
            if (l[k].upsample) rows &= ~(int64_t)1;
            if (rows <= 0) continue;
            compute(n, &l[k], done[k], rows, of_set);
            done[k] += rows;
        }
}
