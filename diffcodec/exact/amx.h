/* A layer by AMX, whose tiles of 16 x 64 bytes multiply bytes alone.
 *
 * An int16 is 256 * upper + lower, the upper byte signed and the lower one not; so a product is
 * four products of bytes, which four accumulators sum up. They wrap around at 2^32, as does what
 * is made of them in the end; the sum itself fits into int32, so it is right.
 */
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TARGET_AMX __attribute__((target("amx-tile,amx-int8,avx512f,avx512bw,avx512vl,avx512dq")))
#define ROWS 16   /* of a tile, at most: pixels */
#define BYTES 64  /* of such a row: channels of a chunk */
#define TILE 1024 /* bytes of a whole tile */
#define AHEAD 512 /* values of a stream that are fetched early: they often lie beyond the caches */
#define REQUEST_PERMISSION 0x1023 /* ARCH_REQ_XCOMP_PERM of arch_prctl */
#define TILE_DATA 18              /* XFEATURE_XTILEDATA */

/* Tiles: sums of products of the pixels' upper or lower bytes and the weights' upper (1) or lower (2)
 * ones; then what is multiplied. */
#define H1 0
#define H2 1
#define L1 2
#define L2 3
#define PIXELS_H 4
#define PIXELS_L 5
#define WEIGHTS_1 6
#define WEIGHTS_2 7

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

/* Sizes of the tiles of this thread, for strips of `strip` pixels. */
TARGET_AMX INLINE void configure(int strip)
{
    ALIGNED struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } tiles = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        tiles.bytes[i] = BYTES;
        tiles.rows[i] = (uint8_t)(i < WEIGHTS_1 ? strip : ROWS);
    }
    __asm__ volatile("" : : "r"(&tiles) : "memory"); /* compilers believe that 8 bytes are read */
    _tile_loadconfig(&tiles);
}

/* A row of `pixels` pixels of `even` channels, in chunks of channels: for each the upper bytes of
 * all pixels, signed, then their lower ones, which are not. */
INLINE void split(const int16_t *restrict from, int16_t *row, Py_ssize_t pixels, Py_ssize_t even)
{
    for (Py_ssize_t p = 0; p < pixels; p++, from += even)
        for (Py_ssize_t c = 0; c < even; c += BYTES) {
            int8_t *restrict high = (int8_t *)row + 2 * c * pixels + BYTES * p;
            uint8_t *restrict low = (uint8_t *)high + BYTES * pixels;
            for (int i = 0; i < BYTES; i++) high[i] = (int8_t)(from[c + i] >> 8);
            for (int i = 0; i < BYTES; i++) low[i] = (uint8_t)from[c + i];
        }
}

/* Activations of LANES values, in int32; as `activate`, but for values beyond the table. */
TARGET_AMX INLINE __m512i activations(const Layer *l, __m512i x)
{
    if (l->table) {
        x = _mm512_max_epi32(_mm512_min_epi32(x, _mm512_set1_epi32(32767)),
                             _mm512_set1_epi32(-32768));
        x = _mm512_i32gather_epi32(x, l->table, sizeof(int16_t)); /* and the next one above it */
        return _mm512_srai_epi32(_mm512_slli_epi32(x, 16), 16);
    }
    if (l->shift) {
        __m512i half = _mm512_srai_epi32(x, (unsigned)l->shift - 1);
        half = _mm512_and_si512(half, _mm512_set1_epi32(1));
        x = _mm512_add_epi32(_mm512_srai_epi32(x, (unsigned)l->shift), half);
    }
    return _mm512_max_epi32(_mm512_min_epi32(x, _mm512_set1_epi32(l->limit)),
                            _mm512_set1_epi32(-l->limit));
}

/* activate_row and split in one, for one source of whole chunks. */
TARGET_AMX INLINE void activate_bytes(const Layer *l, Py_ssize_t y, Py_ssize_t plane, int8_t *row)
{
    const int32_t *x = l->source[0] + y * l->width * l->c_in;
    int times = 1 + l->upsample, end = l->table && l->table[32767] < l->limit;
    for (Py_ssize_t p = 0; p < l->width; p++, row += times * BYTES)
        for (Py_ssize_t c = 0; c < l->c_in; c += BYTES, x += BYTES) {
            int8_t *high = row + 2 * c / BYTES * plane;
            __m512i most = _mm512_setzero_si512();
            for (int i = 0; i < BYTES; i += LANES) {
                _mm_prefetch((const char *)(x + i + AHEAD), _MM_HINT_T0);
                __m512i from = _mm512_loadu_si512(x + i), a = activations(l, from);
                __m128i upper = _mm512_cvtepi32_epi8(_mm512_srai_epi32(a, 8));
                __m128i lower = _mm512_cvtepi32_epi8(a);
                most = _mm512_max_epi32(most, from);
                for (int k = 0; k < times; k++) {
                    _mm_storeu_si128((__m128i *)(high + k * BYTES + i), upper);
                    _mm_storeu_si128((__m128i *)(high + plane + k * BYTES + i), lower);
                }
            }
            if (end && _mm512_reduce_max_epi32(most) > 32767) {
                ALIGNED int16_t a[BYTES], two[BYTES];
                activate(l, x, a, BYTES);
                split(a, two, 1, BYTES);
                for (int k = 0; k < times; k++) {
                    memcpy(high + k * BYTES, two, BYTES);
                    memcpy(high + plane + k * BYTES, (int8_t *)two + BYTES, BYTES);
                }
            }
        }
}

/* Fill, for rows that are split. */
TARGET_AMX INLINE void fill_amx(const Layer *l, Py_ssize_t y, Py_ssize_t pitch, Py_ssize_t even,
                                int16_t *row, int16_t *spare)
{
    Py_ssize_t plane = pitch / even * BYTES;
    if (l->sources == 1 && l->c_in == even) {
        activate_bytes(l, y, plane, (int8_t *)row + l->before * BYTES);
        return;
    }
    activate_row(l, y, even, spare + l->before * even);
    split(spare, row, pitch / even, even);
}

/* The four sums of products of a strip of pixels. at: the strip's first upper bytes; the lower
 * ones follow `plane` bytes later, rows of the kernel `pitch` bytes. */
TARGET_AMX INLINE void tile_amx(const Layer *l, const int8_t *at, Py_ssize_t plane,
                                Py_ssize_t pitch, const int8_t *weight,
                                int32_t part[4][ROWS * LANES])
{
    Py_ssize_t apart = l->stride * BYTES;
    _tile_zero(H1);
    _tile_zero(H2);
    _tile_zero(L1);
    _tile_zero(L2);
    for (int y = 0; y < l->kernel; y++, at += pitch)
        for (const int8_t *chunk = at; chunk < at + pitch; chunk += 2 * plane)
            for (int x = 0; x < l->kernel; x++, weight += 2 * TILE) {
                _tile_loadd(PIXELS_H, chunk + BYTES * x, apart);
                _tile_loadd(PIXELS_L, chunk + BYTES * x + plane, apart);
                _tile_loadd(WEIGHTS_1, weight, BYTES);
                _tile_loadd(WEIGHTS_2, weight + TILE, BYTES);
                _tile_dpbssd(H1, PIXELS_H, WEIGHTS_1);
                _tile_dpbusd(L1, PIXELS_L, WEIGHTS_1);
                _tile_dpbsud(H2, PIXELS_H, WEIGHTS_2);
                _tile_dpbuud(L2, PIXELS_L, WEIGHTS_2);
            }
    _tile_stored(H1, part[H1], BYTES);
    _tile_stored(H2, part[H2], BYTES);
    _tile_stored(L1, part[L1], BYTES);
    _tile_stored(L2, part[L2], BYTES);
    __asm__ volatile("" ::: "memory"); /* the stores above are not known to compilers as such */
}

/* The output at `to`, from `channel` on, of the parts of the sums of a strip's pixel p: as
 * `finish`. */
TARGET_AMX INLINE void finish_amx(const Layer *l, const int32_t part[4][ROWS * LANES],
                                  Py_ssize_t p, Py_ssize_t channel, Py_ssize_t to)
{
    Py_ssize_t n = l->c_out - channel;
    p *= LANES;
    __mmask16 mask = (__mmask16)(n < LANES ? (1 << n) - 1 : 0xffff);
    __m512i sum = _mm512_loadu_si512(l->bias + channel);
    __m512i middle = _mm512_load_si512(part[L1] + p);
    middle = _mm512_add_epi32(middle, _mm512_load_si512(part[H2] + p));
    sum = _mm512_add_epi32(sum, _mm512_load_si512(part[L2] + p));
    sum = _mm512_add_epi32(sum, _mm512_slli_epi32(middle, 8));
    sum = _mm512_add_epi32(sum, _mm512_slli_epi32(_mm512_load_si512(part[H1] + p), 16));
    sum = _mm512_srav_epi32(sum, _mm512_maskz_loadu_epi32(mask, l->down + channel));
    if (l->add) sum = _mm512_add_epi32(sum, _mm512_maskz_loadu_epi32(mask, l->add + to));
    _mm512_mask_storeu_epi32(l->out + to, mask, sum);
}

/* Strips do not go on in the next row; the last of a row begins early enough to be whole. */
TARGET_AMX INLINE void convolve_amx(const Layer *l, const int16_t *a, Py_ssize_t pitch,
                                    Py_ssize_t even, Py_ssize_t first, Py_ssize_t rows,
                                    Py_ssize_t width)
{
    ALIGNED int32_t part[4][ROWS * LANES];
    Py_ssize_t plane = pitch / even * BYTES, tiles = l->kernel * l->kernel * even / BYTES;
    int strip = width < ROWS ? (int)width : ROWS;
    const int8_t *weight = l->weight;
    pitch *= sizeof(int16_t);
    __asm__ volatile("" ::: "memory"); /* nor are the loads */
    for (Py_ssize_t c = 0; c < l->c_out; c += LANES, weight += tiles * 2 * TILE) {
        const int8_t *row = (const int8_t *)a;
        for (Py_ssize_t y = first; y < first + rows; y++, row += l->stride * pitch)
            for (Py_ssize_t x = 0; x < width; x += strip) {
                Py_ssize_t start = x + strip > width ? width - strip : x;
                tile_amx(l, row + start * l->stride * BYTES, plane, pitch, weight, part);
                for (Py_ssize_t p = x; p < start + strip; p++)
                    finish_amx(l, part, p - start, c, (y * width + p) * l->c_out + c);
            }
    }
}

TARGET_AMX static int work_amx(const Layer *l, Py_ssize_t first, Py_ssize_t last)
{
    Py_ssize_t width = ((l->width << l->upsample) + l->stride - 1) / l->stride;
    configure(width < ROWS ? (int)width : ROWS);
    int failed = work(l, first, last, BYTES, fill_amx, convolve_amx);
    _tile_release();
    return failed;
}
