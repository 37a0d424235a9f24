/* A layer of the integer network of bytes, as plan.py lays it out: what graph.py defines.
 *
 * Rows of activations hold `channels` bytes a pixel, a pixel of zeros before the first and one after
 * the last; what follows is room for the pixels that a strip computes beyond the end of its row.
 * Channels are rounded up to BLOCK, with weights of 0. All rows lie in one piece of memory, and
 * there are as many of them as are needed at a time: row y is the row y % rows.
 */
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define ALIGNED __attribute__((aligned(64)))
#else
#define INLINE static inline
#define ALIGNED
#endif

#define BLOCK 32  /* channels that are computed together at most, and that rows are rounded up to */
#define LAYERS 64 /* of a chain, at most */
#define FAR (2 << 20) /* bytes of a stream from which on it is written past the caches */

enum { NONE, RELU, HARD_SWISH }; /* activations, by their place in graph.py's list */

typedef struct {
    int64_t kernel, stride, upsample, wide; /* wide: 16-bit activations and weights */
    int64_t channels, outputs;              /* to a pixel; outputs: rounded up to BLOCK */
    int64_t height, width;                  /* of the input */
    int64_t activation, fraction, wide_out; /* of the stream that the layer yields, to its reader */
    int64_t weight, bias, shift, scale, zero; /* offsets: in bytes; in int32; in int16 */
    int64_t in, in_rows, in_pitch, border;  /* activations; border: a row outside the image */
    int64_t to, to_rows, to_pitch;          /* those of the next layer; to < 0: none */
    int64_t stream, stream_rows, stream_pitch; /* int16; stream < 0: nobody adds it */
    int64_t add, add_rows, add_pitch;          /* add < 0: none */
    int64_t final;                             /* channels of the network's output, or 0 */
} Layer;

typedef struct {
    const Layer *layers;
    const uint8_t *weights;
    const int32_t *sums;      /* biases and shifts */
    const int16_t *constants; /* scales and zeros */
    uint8_t *memory;
    int16_t *out; /* the network's output (H, W, final) */
} Network;

/* Where pixels go: to the activations and the stream, and what is added; of a layer that upsamples,
 * also in the row below. */
typedef struct {
    uint8_t *to[2];
    int16_t *stream[2];
    const int16_t *add[2];
} Target;

/* A row of the output: what its first pixel reads in each row of the kernel, and where it goes. */
typedef struct {
    const uint8_t *from[3];
    Target at;
} Row;

typedef struct Finish Finish;

/* `count` pixels from pixel `first` of a target on, of one block of channels, by their sums: those of
 * the first half of its channels at a, the others at b. */
typedef void Run(const Finish *f, const int32_t *a, const int32_t *b, const Target *t, int first,
                 int count, int64_t channel);

/* What is done with sums. */
struct Finish {
    Run *run;
    const int32_t *bias, *shift;
    const int16_t *scale, *zero;
    int64_t apart; /* channels of a pixel */
    int far; /* the stream is read again long after */
    int wide, activation, fraction, up, adds, streams, yields; /* wide: the reader takes 16 bits */
};

INLINE int64_t out_width(const Layer *l) { return (l->width + l->stride - 1) / l->stride; }
INLINE int64_t out_height(const Layer *l) { return (l->height + l->stride - 1) / l->stride; }

INLINE const uint8_t *input_row(const Network *n, const Layer *l, int64_t y)
{
    if (y < 0 || y >= l->height) return n->memory + l->border;
    return n->memory + l->in + y % l->in_rows * l->in_pitch;
}

/* Row y of the output, before it is doubled. */
INLINE Row row_at(const Network *n, const Layer *l, int64_t y)
{
    Row row = {{0}, {{0}, {0}, {0}}};
    int64_t edge = l->kernel / 2, pixel = l->channels << l->wide;
    for (int64_t k = 0; k < l->kernel; k++)
        row.from[k] = input_row(n, l, y * l->stride + k - edge) + (1 - edge) * pixel;
    for (int i = 0; i <= (int)l->upsample; i++) {
        int64_t r = (y << l->upsample) + i;
        Target *t = &row.at;
        if (l->to >= 0)
            t->to[i] = n->memory + l->to + r % l->to_rows * l->to_pitch +
                       (l->outputs << l->wide_out);
        if (l->stream >= 0)
            t->stream[i] = (int16_t *)(n->memory + l->stream +
                                       r % l->stream_rows * l->stream_pitch);
        if (l->add >= 0)
            t->add[i] = (const int16_t *)(n->memory + l->add + r % l->add_rows * l->add_pitch);
    }
    return row;
}

/* Moves a row on by some pixels, before they are doubled. */
INLINE void move(const Layer *l, Row *row, int64_t pixels)
{
    int64_t in = pixels * l->stride * (l->channels << l->wide);
    int64_t out = (pixels << l->upsample) * l->outputs;
    for (int64_t k = 0; k < l->kernel; k++) row->from[k] += in;
    for (int i = 0; i <= (int)l->upsample; i++) {
        if (l->to >= 0) row->at.to[i] += out << l->wide_out;
        if (l->stream >= 0) row->at.stream[i] += out;
        if (l->add >= 0) row->at.add[i] += out;
    }
}

INLINE Finish finish_of(const Network *n, const Layer *l, Run *run)
{
    return (Finish){run,
                    n->sums + l->bias,
                    n->sums + l->shift,
                    n->constants + l->scale,
                    n->constants + l->zero,
                    l->outputs,
                    l->stream_rows * l->stream_pitch > FAR,
                    (int)l->wide_out,
                    (int)l->activation,
                    (int)l->fraction,
                    (int)l->upsample,
                    l->add >= 0,
                    l->stream >= 0,
                    l->to >= 0};
}
