/* A layer by AMX: 2 strips of up to 16 pixels by 32 channels at a time, 64 bytes a step.
 *
 * What becomes of the sums is woven into the products of the next strips and channels: the tiles
 * multiply while the vectors shift, add and activate.
 */
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TARGET_AMX                                                                                 \
    __attribute__((target("amx-tile,amx-int8,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define STRIP 16  /* pixels of a tile, at most */
#define CHUNK 64  /* bytes of a row of a tile */
#define TILE 1024 /* bytes, or twice 128 int32 */
#define SUMS_OF_TILE 256
#define CACHED (40 << 10) /* bytes of weights that stay close to the processor */
#define REQUEST_PERMISSION 0x1023 /* ARCH_REQ_XCOMP_PERM of arch_prctl */
#define TILE_DATA 18              /* XFEATURE_XTILEDATA */

/* Tiles: sums of strip 1 or 2 by channels a or b; then what is multiplied. */
#define SUMS_1A 0
#define SUMS_1B 1
#define SUMS_2A 2
#define SUMS_2B 3
#define PIXELS_1 4
#define PIXELS_2 5
#define WEIGHTS_A 6
#define WEIGHTS_B 7

/* Whether processor and kernel allow it; the kernel must be asked once in every process. */
static int may_use_amx(void)
{
    static int allowed = -1;
    unsigned a, b, c, d;
    if (allowed < 0)
        allowed = __get_cpuid_count(7, 0, &a, &b, &c, &d) && d >> 24 & 1 && d >> 25 & 1 &&
                  !syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA);
    return allowed;
}

/* Sizes of the tiles of this thread, for strips of so many pixels. */
TARGET_AMX static void configure(int strip)
{
    ALIGNED struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } tiles = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        tiles.bytes[i] = CHUNK;
        tiles.rows[i] = (uint8_t)(i < WEIGHTS_A ? strip : 16);
    }
    __asm__ volatile("" : : "r"(&tiles) : "memory"); /* compilers believe that 8 bytes are read */
    _tile_loadconfig(&tiles);
}

TARGET_AMX static void release(void) { _tile_release(); }

/* Sums of two strips that wait to be finished: [strip][a, b][pixel][channel]. */
typedef struct {
    Finish finish;
    Target at[2];
    const int32_t *sums;
    int strip, next, end; /* pixels: of a strip; the next one; of both */
} Waiting;

TARGET_AMX INLINE void finish_pixels(Waiting *w, int count)
{
    for (; count > 0 && w->next < w->end; count--, w->next++) {
        int second = w->next >= w->strip, p = w->next - (second ? w->strip : 0);
        const int32_t *sums = w->sums + second * 2 * SUMS_OF_TILE + p * STRIP;
        finish_vnni(&w->finish, sums, sums + SUMS_OF_TILE, &w->at[second]);
    }
}

/* Products of two strips, at one[] and two[] in each row of the kernel. */
TARGET_AMX INLINE void multiply(const Layer *l, const uint8_t *const *one,
                                const uint8_t *const *two, const uint8_t *weight,
                                const int32_t *bias, int64_t chunks, int32_t *sums, Waiting *w,
                                int each)
{
    int64_t apart = l->channels * l->stride;
    _tile_loadd(SUMS_1A, bias, 0);
    _tile_loadd(SUMS_2A, bias, 0);
    _tile_loadd(SUMS_1B, bias + STRIP, 0);
    _tile_loadd(SUMS_2B, bias + STRIP, 0);
    for (int64_t y = 0; y < l->kernel; y++) {
        const uint8_t *p = one[y], *q = two[y];
        for (int64_t i = 0; i < chunks; i++, p += CHUNK, q += CHUNK, weight += 2 * TILE) {
            _tile_loadd(WEIGHTS_A, weight, CHUNK);
            _tile_loadd(PIXELS_1, p, apart);
            _tile_dpbusd(SUMS_1A, PIXELS_1, WEIGHTS_A);
            _tile_loadd(WEIGHTS_B, weight + TILE, CHUNK);
            _tile_dpbusd(SUMS_1B, PIXELS_1, WEIGHTS_B);
            _tile_loadd(PIXELS_2, q, apart);
            _tile_dpbusd(SUMS_2A, PIXELS_2, WEIGHTS_A);
            _tile_dpbusd(SUMS_2B, PIXELS_2, WEIGHTS_B);
            finish_pixels(w, each);
        }
    }
    finish_pixels(w, w->end);
    _tile_stored(SUMS_1A, sums, CHUNK);
    _tile_stored(SUMS_1B, sums + SUMS_OF_TILE, CHUNK);
    _tile_stored(SUMS_2A, sums + 2 * SUMS_OF_TILE, CHUNK);
    _tile_stored(SUMS_2B, sums + 3 * SUMS_OF_TILE, CHUNK);
    __asm__ volatile("" : : : "memory"); /* compilers do not know the stores above as such */
}

/* A strip: where it begins in each row of the kernel, and where its first pixel goes. */
typedef struct {
    const uint8_t *from[3];
    Target at;
} Strip;

TARGET_AMX INLINE Strip strip_at(const Network *n, const Layer *l, int64_t y, int64_t x)
{
    Strip s = {{0}, target(n, l, y, 0)};
    int64_t edge = l->kernel / 2, out = (x << l->upsample) * l->outputs;
    for (int64_t k = 0; k < l->kernel; k++)
        s.from[k] = input_row(n, l, y * l->stride + k - edge) +
                    (x * l->stride + 1 - edge) * l->channels;
    for (int i = 0; i <= (int)l->upsample; i++) {
        if (s.at.to[i]) s.at.to[i] += out << l->wide_out;
        if (s.at.stream[i]) s.at.stream[i] += out;
        if (s.at.add[i]) s.at.add[i] += out;
    }
    return s;
}

/* The same target, `channel` channels on. */
INLINE Target from_channel(Target t, int64_t channel, int64_t wide)
{
    for (int i = 0; i < 2; i++) {
        if (t.to[i]) t.to[i] += channel << wide;
        if (t.stream[i]) t.stream[i] += channel;
        if (t.add[i]) t.add[i] += channel;
    }
    return t;
}

/* Blocks c .. end - 1 of the channels, of all strips of the rows. */
TARGET_AMX INLINE void blocks(const Network *n, const Layer *l, int64_t y, int64_t rows, int strip,
                              int64_t c, int64_t end, int32_t sums[2][4 * SUMS_OF_TILE],
                              Waiting *w)
{
    int64_t chunks = (l->kernel * l->channels + CHUNK - 1) / CHUNK, width = out_width(l);
    int64_t block = l->kernel * chunks * 2 * TILE, along = (width + strip - 1) / strip;
    int each = (int)((2 * strip + l->kernel * chunks - 1) / (l->kernel * chunks));
    for (int64_t i = 0; i < rows * along; i += 2) {
        int both = i + 1 < rows * along;
        Strip one = strip_at(n, l, y + i / along, i % along * strip), two = one;
        if (both) two = strip_at(n, l, y + (i + 1) / along, (i + 1) % along * strip);
        for (int64_t b = c; b < end; b += BLOCK) {
            int32_t *own = sums[w->sums == sums[0]];
            multiply(l, one.from, two.from, n->weights + l->weight + b / BLOCK * block,
                     n->sums + l->bias + b, chunks, own, w, each);
            *w = (Waiting){finish_of(n, l, b),
                           {from_channel(one.at, b, l->wide_out),
                            from_channel(two.at, b, l->wide_out)},
                           own, strip, 0, strip << both};
        }
    }
}

TARGET_AMX static void layer_amx(const Network *n, const Layer *l, int64_t y, int64_t rows)
{
    ALIGNED int32_t sums[2][4 * SUMS_OF_TILE];
    Waiting w = {.sums = sums[1]};
    int64_t width = out_width(l), strips = (width + STRIP - 1) / STRIP;
    int strip = (int)((width + strips - 1) / strips);
    if (l->wide) {
        layer_vnni(n, l, y, rows);
        return;
    }
    configure(strip);
    __asm__ volatile("" : : : "memory"); /* nor do they know the loads */
    if (l->kernel * l->kernel * l->channels * l->outputs <= CACHED)
        for (int64_t c = 0; c < l->outputs; c += BLOCK)
            blocks(n, l, y, rows, strip, c, c + BLOCK, sums, &w);
    else
        blocks(n, l, y, rows, strip, 0, l->outputs, sums, &w);
    finish_pixels(&w, w.end);
}
