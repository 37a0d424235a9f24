/* One stage of the search forwards, by every instruction set: the innermost loop of viterbi.c.
 *
 * State t has the predecessors t/2 and t/2 + states/2; a bit for each says whether the upper one
 * won. Integers are added exactly and ties go to the lower one, so all of them do the same.
 */
#ifndef ADVANCE_H
#define ADVANCE_H

#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

#define RUN 256       /* words that share one shift */
#define WORD 32       /* decisions in a word */

/* One stage for `count` next states, a multiple of WORD and at most RUN: their lower predecessors
 * begin at a, their upper ones at b, whose branches score f and g. */
typedef void Advance(const int16_t *restrict a, const int16_t *restrict b,
                     const int16_t *restrict f, const int16_t *restrict g, int count,
                     int16_t *restrict next, uint32_t *restrict upper);

/* Eight bytes that are 0 or 1 as the bits of one, the first as the lowest. */
static uint8_t packed(const uint8_t *bytes)
{
    uint64_t eight;
    memcpy(&eight, bytes, sizeof eight);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    eight = __builtin_bswap64(eight);
#endif
    return (uint8_t)(eight * 0x0102040810204080u >> 56); /* byte j, times 2^(56 - 7 j), is bit j */
}

static void advance_portable(const int16_t *restrict a, const int16_t *restrict b,
                             const int16_t *restrict f, const int16_t *restrict g, int count,
                             int16_t *restrict next, uint32_t *restrict upper)
{
    int16_t low[RUN], high[RUN];
    uint8_t won[RUN];
    for (int j = 0; j < count / 2; j++) {
        low[2 * j] = low[2 * j + 1] = a[j];
        high[2 * j] = high[2 * j + 1] = b[j];
    }
    for (int t = 0; t < count; t++) {
        int16_t x = low[t] + f[t], y = high[t] + g[t];
        next[t] = y > x ? y : x;
        won[t] = y > x;
    }
    for (int t = 0; t < count; t += WORD) {
        uint32_t word = 0;
        for (int j = 0; j < WORD; j += 8) word |= (uint32_t)packed(won + t + j) << j;
        upper[t / WORD] = word;
    }
}

#if defined(__x86_64__) && defined(__GNUC__)
#define X86
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx512f,avx512bw")))

AVX2 static inline __m256i doubled(const int16_t *x)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)x));
    return _mm256_or_si256(wide, _mm256_slli_epi32(wide, 16));
}

AVX2 INLINE void advance_avx2(const int16_t *restrict a, const int16_t *restrict b,
                              const int16_t *restrict f, const int16_t *restrict g, int count,
                              int16_t *restrict next, uint32_t *restrict upper)
{
    for (int t = 0; t < count; t += WORD) {
        __m256i won[2];
        for (int half = 0; half < 2; half++) {
            int i = t + half * WORD / 2;
            __m256i x = _mm256_loadu_si256((const __m256i *)(f + i));
            __m256i y = _mm256_loadu_si256((const __m256i *)(g + i));
            x = _mm256_add_epi16(x, doubled(a + i / 2));
            y = _mm256_add_epi16(y, doubled(b + i / 2));
            _mm256_storeu_si256((__m256i *)(next + i), _mm256_max_epi16(x, y));
            won[half] = _mm256_cmpgt_epi16(y, x);
        }
        __m256i bytes = _mm256_packs_epi16(won[0], won[1]); /* quarters 0 2 1 3 */
        bytes = _mm256_permute4x64_epi64(bytes, 0xd8);
        upper[t / WORD] = (uint32_t)_mm256_movemask_epi8(bytes);
    }
}

AVX512 INLINE void advance_avx512(const int16_t *restrict a, const int16_t *restrict b,
                                  const int16_t *restrict f, const int16_t *restrict g, int count,
                                  int16_t *restrict next, uint32_t *restrict upper)
{
    static const int16_t pairs[WORD] = {0, 0, 1, 1, 2,  2,  3,  3,  4,  4,  5,  5,  6,  6,  7,  7,
                                        8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15};
    __m512i twice = _mm512_loadu_si512(pairs);
    for (int t = 0; t < count; t += WORD) {
        __m256i low = _mm256_loadu_si256((const __m256i *)(a + t / 2));
        __m256i high = _mm256_loadu_si256((const __m256i *)(b + t / 2));
        __m512i x = _mm512_permutexvar_epi16(twice, _mm512_castsi256_si512(low));
        __m512i y = _mm512_permutexvar_epi16(twice, _mm512_castsi256_si512(high));
        x = _mm512_add_epi16(x, _mm512_loadu_si512(f + t));
        y = _mm512_add_epi16(y, _mm512_loadu_si512(g + t));
        _mm512_storeu_si512(next + t, _mm512_max_epi16(x, y));
        upper[t / WORD] = _mm512_cmpgt_epi16_mask(y, x);
    }
}
#endif

#endif
