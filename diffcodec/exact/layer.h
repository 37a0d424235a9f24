/* A layer of the integer network, in bands of rows: compiled for every instruction set.
 *
 * The activations of a band, int16 with a border of zeros, stay in the cache and are made right
 * before they are convolved; rows that the next band shares are kept. A tile, which each
 * instruction set has its own of, sums the products for a strip of pixels and a block of channels.
 * Where instructions multiply bytes alone (amx.h), rows are split into bytes.
 */
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define ALIGNED __attribute__((aligned(64)))
#else
#define INLINE static inline
#define ALIGNED
#endif

#define LANES 16
#define BLOCK 48         /* channels: 3 vectors of 512 bits */
#define STRIP 8          /* pixels, at most */
#define SOURCES 8        /* streams that a layer reads, at most */
#define BAND (128 << 10) /* bytes of activations that are held at a time, roughly */
#define CHUNK 512        /* values that are looked up at a time */
#define LINE 64          /* bytes of a cache line */

typedef struct {
    const int32_t *source[SOURCES];
    Py_ssize_t channels[SOURCES]; /* of each source */
    int sources, upsample, kernel, stride, shift, limit;
    int peak;                     /* of SiLU's table, before the shift */
    int before;                   /* rows and columns of zeros above and to the left */
    Py_ssize_t height, width, c_in, c_out; /* height, width: of the sources */
    const int16_t *table;                  /* table[-32768 .. 32767] or NULL: cut */
    const void *weight;                    /* in the order of the instruction set */
    const int32_t *bias, *down, *add;      /* down: shifts; add: a stream or NULL */
    int32_t *out;
} Layer;

/* Sums of `pixels` pixels by `vectors` * LANES channels. pixel[i]: first activation under the
 * kernel; the kernel's `rows` rows are `pitch` apart and `run` activations long. */
typedef void Tile(const int16_t *const *pixel, Py_ssize_t pitch, int rows, Py_ssize_t run,
                  const int16_t *weight, const int32_t *bias, int vectors, int32_t *sums);

/* Rows `first` .. `first + rows` - 1 of the output, `width` long; `a` begins with the first row
 * they need. Its rows have `pitch` activations, borders included, `even` of them to a pixel. */
typedef void Convolve(const Layer *l, const int16_t *a, Py_ssize_t pitch, Py_ssize_t even,
                      Py_ssize_t first, Py_ssize_t rows, Py_ssize_t width);

/* The sources' row y as a row of `a`; spare: a row of zeros, of which the inside may be written. */
typedef void Fill(const Layer *l, Py_ssize_t y, Py_ssize_t pitch, Py_ssize_t even, int16_t *row,
                  int16_t *spare);

/* round(x / 2^shift), cut to -limit .. limit; x + 2^(shift - 1) might not fit into 32 bits. */
INLINE int16_t cut(int32_t x, int shift, int limit)
{
    int32_t half = shift ? x >> (shift - 1) & 1 : 0, y = (x >> shift) + half;
    return (int16_t)(y < -limit ? -limit : y > limit ? limit : y);
}

/* Activations of n values. Beyond the table SiLU goes on with slope 1; few values are there, and
 * many layers cut them to what the table ends with. */
INLINE void activate(const Layer *l, const int32_t *x, int16_t *a, Py_ssize_t n)
{
    if (!l->table) {
        for (Py_ssize_t i = 0; i < n; i++) a[i] = cut(x[i], l->shift, l->limit);
        return;
    }
    int32_t most = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        most = x[i] > most ? x[i] : most;
        a[i] = (int16_t)(x[i] < -32768 ? -32768 : x[i] > 32767 ? 32767 : x[i]);
    }
    for (Py_ssize_t i = 0; i < n; i++) a[i] = l->table[a[i]];
    if (most > 32767 && l->table[32767] < l->limit)
        for (Py_ssize_t i = 0; i < n; i++) {
            int16_t beyond = cut((x[i] > 32767 ? x[i] - 32767 : 0) + l->peak, l->shift, l->limit);
            a[i] = x[i] > 32767 ? beyond : a[i];
        }
}

/* One row of activations, `even` to a pixel, from the sources' row y. */
INLINE void activate_row(const Layer *l, Py_ssize_t y, Py_ssize_t even, int16_t *a)
{
    if (l->sources == 1 && !l->upsample && even == l->c_in) {
        Py_ssize_t n = l->width * even;
        for (Py_ssize_t i = 0; i < n; i += CHUNK)
            activate(l, l->source[0] + y * n + i, a + i, n - i < CHUNK ? n - i : CHUNK);
        return;
    }
    for (Py_ssize_t i = y * l->width; i < (y + 1) * l->width; i++) {
        int16_t *to = a;
        for (int s = 0; s < l->sources; to += l->channels[s++])
            activate(l, l->source[s] + i * l->channels[s], to, l->channels[s]);
        a += even;
        if (l->upsample) {
            memcpy(a, a - even, sizeof(int16_t) * even);
            a += even;
        }
    }
}

/* Fill, for int16. */
INLINE void fill(const Layer *l, Py_ssize_t y, Py_ssize_t pitch, Py_ssize_t even, int16_t *row,
                 int16_t *spare)
{
    (void)pitch;
    (void)spare;
    activate_row(l, y, even, row + l->before * even);
}

/* Shift the sums of one pixel, add the residual, store. out and add may be the same. */
INLINE void finish(const int32_t *sums, const int32_t *down, const int32_t *add, int32_t *out,
                   Py_ssize_t n)
{
    if (add) {
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC ivdep
#endif
        for (Py_ssize_t i = 0; i < n; i++)
            out[i] = (int32_t)((uint32_t)(sums[i] >> down[i]) + (uint32_t)add[i]);
    } else {
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC ivdep
#endif
        for (Py_ssize_t i = 0; i < n; i++) out[i] = sums[i] >> down[i];
    }
}

/* Convolve, by the tiles of an instruction set: `strip` pixels each, in reading order. */
INLINE void convolve(const Layer *l, const int16_t *a, Py_ssize_t pitch, Py_ssize_t even,
                     Py_ssize_t first, Py_ssize_t rows, Py_ssize_t width, Tile tile, int strip)
{
    ALIGNED int32_t sums[STRIP * BLOCK];
    Py_ssize_t run = l->kernel * even, pixels = rows * width;
    const int16_t *weight = l->weight;
    for (Py_ssize_t c = 0; c < l->c_out; c += BLOCK) {
        Py_ssize_t n = l->c_out - c < BLOCK ? l->c_out - c : BLOCK, x = 0;
        int vectors = (int)(n + LANES - 1) / LANES;
        const int16_t *pixel[STRIP], *row = a;
        for (Py_ssize_t p = 0; p < pixels; p += strip) {
            int count = pixels - p < strip ? (int)(pixels - p) : strip;
            for (int i = 0; i < strip; i++) {
                pixel[i] = i < count ? row + x * l->stride * even : a;
                if (i < count && ++x == width) {
                    x = 0;
                    row += l->stride * pitch;
                }
            }
            tile(pixel, pitch, l->kernel, run, weight, l->bias + c, vectors, sums);
            Py_ssize_t at = (first * width + p) * l->c_out + c;
            for (int i = 0; i < count; i++, at += l->c_out)
                finish(sums + i * vectors * LANES, l->down + c, l->add ? l->add + at : NULL,
                       l->out + at, n);
        }
        weight += l->kernel * run * vectors * LANES;
    }
}

/* Rows first .. last - 1 of the output; -1: no memory. Channels are rounded up to `whole`. */
INLINE int work(const Layer *l, Py_ssize_t first, Py_ssize_t last, Py_ssize_t whole, Fill fill,
                Convolve of_set)
{
    Py_ssize_t even = (l->c_in + whole - 1) / whole * whole;
    Py_ssize_t height = l->height << l->upsample, width = l->width << l->upsample;
    Py_ssize_t pitch = (width + l->kernel - 1) * even, step = l->stride;
    Py_ssize_t band = (BAND / (Py_ssize_t)sizeof(int16_t) / pitch - l->kernel) / step + 1;
    band = band < 1 ? 1 : band > last - first ? last - first : band;
    Py_ssize_t held = (step * (band - 1) + l->kernel) * pitch;
    int16_t *memory = calloc(held + pitch + LINE, sizeof(int16_t));
    if (!memory) return -1;
    int16_t *a = memory + (-(uintptr_t)memory & (LINE - 1)) / sizeof(int16_t), *spare = a + held;
    Py_ssize_t end = 0; /* of the rows in a */
    for (Py_ssize_t r = first, top = 0; r < last; r += band) {
        Py_ssize_t rows = last - r < band ? last - r : band, next = step * r - l->before;
        Py_ssize_t kept = r > first && end > next ? end - next : 0;
        memmove(a, a + (next - top) * pitch * (kept > 0), sizeof(int16_t) * kept * pitch);
        top = next;
        end = top + step * (rows - 1) + l->kernel;
        for (Py_ssize_t y = top + kept; y < end; y++) {
            int16_t *row = a + (y - top) * pitch;
            if (y < 0 || y >= height)
                memset(row, 0, sizeof(int16_t) * pitch);
            else if (l->upsample && y % 2 && y > top)
                memcpy(row, row - pitch, sizeof(int16_t) * pitch);
            else
                fill(l, y >> l->upsample, pitch, even, row, spare);
        }
        of_set(l, a, pitch, even, r, rows, (width + step - 1) / step);
    }
    free(memory);
    return 0;
}
