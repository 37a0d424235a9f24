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

/* Two strips, or one. */
typedef struct {
    Row row[2];
    int count;
} Pair;

/* Sums of a pair and a block of channels that wait to be finished: [strip][a, b][pixel][channel]. */
typedef struct {
    Finish finish;
    const Pair *pair;
    const int32_t *sums;
    int64_t channel;
    int strip, next, end; /* pixels: of a strip; the next one; of the pair */
    int each, wait; /* pixels that are finished in a step, after so many steps without */
} Waiting;

TARGET_AMX INLINE void finish_pixels(Waiting *w, int count)
{
    int second = w->next >= w->strip, p = second ? w->next - w->strip : w->next;
    const int32_t *sums = w->sums + second * 2 * SUMS_OF_TILE + p * STRIP;
    int left = (second ? w->end : w->strip) - w->next;
    if (w->next >= w->end) return;
    if (count > left) count = left;
    w->next += count;
    w->finish.run(&w->finish, sums, sums + SUMS_OF_TILE, &w->pair->row[second].at, p, count,
                  w->channel);
}

/* Products of two strips, by a block of weights. */
TARGET_AMX INLINE void multiply(const Layer *l, const Pair *pair, const uint8_t *weight,
                                int64_t chunks, int32_t *sums, Waiting *w)
{
    int wait = w->wait;
    int64_t apart = l->channels * l->stride;
    _tile_zero(SUMS_1A);
    _tile_zero(SUMS_2A);
    _tile_zero(SUMS_1B);
    _tile_zero(SUMS_2B);
    for (int64_t y = 0; y < l->kernel; y++) {
        const uint8_t *p = pair->row[0].from[y], *q = pair->row[1].from[y];
        for (int64_t i = 0; i < chunks; i++, p += CHUNK, q += CHUNK, weight += 2 * TILE) {
            _tile_loadd(WEIGHTS_A, weight, CHUNK);
            _tile_loadd(PIXELS_1, p, apart);
            _tile_dpbusd(SUMS_1A, PIXELS_1, WEIGHTS_A);
            _tile_loadd(WEIGHTS_B, weight + TILE, CHUNK);
            _tile_dpbusd(SUMS_1B, PIXELS_1, WEIGHTS_B);
            _tile_loadd(PIXELS_2, q, apart);
            _tile_dpbusd(SUMS_2A, PIXELS_2, WEIGHTS_A);
            _tile_dpbusd(SUMS_2B, PIXELS_2, WEIGHTS_B);
            if (wait-- <= 0) finish_pixels(w, w->each);
        }
    }
    while (w->next < w->end) finish_pixels(w, w->end);
    _tile_stored(SUMS_1A, sums, CHUNK);
    _tile_stored(SUMS_1B, sums + SUMS_OF_TILE, CHUNK);
    _tile_stored(SUMS_2A, sums + 2 * SUMS_OF_TILE, CHUNK);
    _tile_stored(SUMS_2B, sums + 3 * SUMS_OF_TILE, CHUNK);
    __asm__ volatile("" : : : "memory"); /* compilers do not know the stores above as such */
}

/* Strips of the rows y .. end - 1, one after the other. */
typedef struct {
    Row row;
    int64_t y, end, x;
} Place;

TARGET_AMX INLINE void next_strip(const Network *n, const Layer *l, Place *at, int strip, Row *row)
{
    *row = at->row;
    at->x += strip;
    move(l, &at->row, strip);
    if (at->x < out_width(l)) return;
    at->x = 0;
    if (++at->y < at->end) at->row = row_at(n, l, at->y);
}

/* Channels c .. end - 1 of all strips. */
TARGET_AMX INLINE void blocks(const Network *n, const Layer *l, Place at, int64_t c, int64_t end,
                              Pair pairs[2], int32_t sums[2][4 * SUMS_OF_TILE], Waiting *w)
{
    int64_t chunks = (l->kernel * l->channels + CHUNK - 1) / CHUNK;
    int64_t block = l->kernel * chunks * 2 * TILE;
    const uint8_t *weights = n->weights + l->weight;
    while (at.y < at.end) {
        Pair *pair = &pairs[w->pair == pairs];
        next_strip(n, l, &at, w->strip, &pair->row[0]);
        pair->row[1] = pair->row[0];
        pair->count = 1 + (at.y < at.end);
        if (pair->count > 1) next_strip(n, l, &at, w->strip, &pair->row[1]);
        for (int64_t b = c; b < end; b += BLOCK) {
            int32_t *own = sums[w->sums == sums[0]];
            multiply(l, pair, weights + b / BLOCK * block, chunks, own, w);
            w->pair = pair;
            w->sums = own;
            w->channel = b;
            w->next = 0;
            w->end = w->strip * pair->count;
        }
    }
}

TARGET_AMX static void layer_amx(const Network *n, const Layer *l, int64_t y, int64_t rows)
{
    ALIGNED int32_t sums[2][4 * SUMS_OF_TILE];
    Pair pairs[2];
    int64_t width = out_width(l), strips = (width + STRIP - 1) / STRIP;
    int steps = (int)(l->kernel * ((l->kernel * l->channels + CHUNK - 1) / CHUNK));
    int strip = (int)((width + strips - 1) / strips);
    int each = (2 * strip + steps - 2) / (steps > 1 ? steps - 1 : 1);
    if (l->wide) {
        layer_vnni(n, l, y, rows);
        return;
    }
    Waiting w = {.finish = finish_of(n, l, run_of_vnni(l)), .pair = pairs, .sums = sums[0],
                 .strip = strip, .each = each, .wait = steps - (2 * strip + each - 1) / each};
    Place at = {row_at(n, l, y), y, y + rows, 0};
    configure(strip);
    __asm__ volatile("" : : : "memory"); /* nor do they know the loads */
    if (steps * CHUNK * l->outputs <= CACHED)
        for (int64_t c = 0; c < l->outputs; c += BLOCK)
            blocks(n, l, at, c, c + BLOCK, pairs, sums, &w);
    else
        blocks(n, l, at, 0, l->outputs, pairs, sums, &w);
    while (w.next < w.end) finish_pixels(&w, w.end);
}
