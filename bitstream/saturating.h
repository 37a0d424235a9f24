/* One stage of the butterfly search, by every instruction set: the innermost loop of butterfly.c.
 *
 * States j and j + states/2 both lead to 2j and 2j + 1. The branches to 2j score plus from the lower
 * state and minus from the upper one, those to 2j + 1 the other way round. Metrics are bytes; sums
 * stop at -128 and 127, and ties go to the lower state, so all of them do the same.
 */
#ifndef SATURATING_H
#define SATURATING_H

#include <stdint.h>

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

#define LABELS 256 /* of a stage; so many states share one rotation of its scores */
#define WORD 64    /* decisions in a word */

/* `count` states, a multiple of WORD and at most LABELS, from a below and b above. `next` gets twice
 * as many; `upper` two words for every WORD of them, where the upper state won: even, then odd. */
typedef void Advance(const int8_t *restrict a, const int8_t *restrict b,
                     const int8_t *restrict plus, const int8_t *restrict minus, int count,
                     int8_t *restrict next, uint64_t *restrict upper);

static inline int8_t saturated(int x)
{
    return (int8_t)(x < -128 ? -128 : x > 127 ? 127 : x);
}

static void advance_portable(const int8_t *restrict a, const int8_t *restrict b,
                             const int8_t *restrict plus, const int8_t *restrict minus, int count,
                             int8_t *restrict next, uint64_t *restrict upper)
{
    for (int at = 0; at < count; at += WORD, upper += 2) {
        uint8_t even[WORD], odd[WORD];
        for (int j = 0; j < WORD; j++) {
            int low = a[at + j], high = b[at + j], p = plus[at + j], m = minus[at + j];
            int8_t x = saturated(low + p), y = saturated(high + m);
            int8_t u = saturated(low + m), v = saturated(high + p);
            next[2 * (at + j)] = y > x ? y : x;
            next[2 * (at + j) + 1] = v > u ? v : u;
            even[j] = y > x;
            odd[j] = v > u;
        }
        upper[0] = upper[1] = 0;
        for (int j = 0; j < WORD; j++) {
            upper[0] |= (uint64_t)even[j] << j;
            upper[1] |= (uint64_t)odd[j] << j;
        }
    }
}

#if defined(__x86_64__) && defined(__GNUC__)
#define X86
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx512f,avx512bw")))

AVX2 INLINE __m256i load32(const int8_t *x)
{
    return _mm256_loadu_si256((const __m256i *)x);
}

AVX2 INLINE void advance_avx2(const int8_t *restrict a, const int8_t *restrict b,
                              const int8_t *restrict plus, const int8_t *restrict minus, int count,
                              int8_t *restrict next, uint64_t *restrict upper)
{
    for (int at = 0; at < count; at += WORD, upper += 2) {
        uint32_t even[2], odd[2];
        for (int half = 0; half < 2; half++) {
            int j = at + half * WORD / 2;
            __m256i low = load32(a + j), high = load32(b + j);
            __m256i p = load32(plus + j), m = load32(minus + j);
            __m256i x = _mm256_adds_epi8(low, p), y = _mm256_adds_epi8(high, m);
            __m256i u = _mm256_adds_epi8(low, m), v = _mm256_adds_epi8(high, p);
            even[half] = (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(y, x));
            odd[half] = (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(v, u));
            x = _mm256_max_epi8(x, y);
            u = _mm256_max_epi8(u, v);
            __m256i first = _mm256_unpacklo_epi8(x, u); /* of every 16 states, the lower 8 */
            __m256i second = _mm256_unpackhi_epi8(x, u);
            __m256i *out = (__m256i *)(next + 2 * j);
            _mm256_storeu_si256(out, _mm256_permute2x128_si256(first, second, 0x20));
            _mm256_storeu_si256(out + 1, _mm256_permute2x128_si256(first, second, 0x31));
        }
        upper[0] = even[0] | (uint64_t)even[1] << 32;
        upper[1] = odd[0] | (uint64_t)odd[1] << 32;
    }
}

AVX512 INLINE void advance_avx512(const int8_t *restrict a, const int8_t *restrict b,
                                  const int8_t *restrict plus, const int8_t *restrict minus,
                                  int count, int8_t *restrict next, uint64_t *restrict upper)
{
    __m512i lower = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    __m512i higher = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    for (int at = 0; at < count; at += WORD, upper += 2) {
        __m512i low = _mm512_loadu_si512(a + at), high = _mm512_loadu_si512(b + at);
        __m512i p = _mm512_loadu_si512(plus + at), m = _mm512_loadu_si512(minus + at);
        __m512i x = _mm512_adds_epi8(low, p), y = _mm512_adds_epi8(high, m);
        __m512i u = _mm512_adds_epi8(low, m), v = _mm512_adds_epi8(high, p);
        upper[0] = _mm512_cmpgt_epi8_mask(y, x);
        upper[1] = _mm512_cmpgt_epi8_mask(v, u);
        x = _mm512_max_epi8(x, y);
        u = _mm512_max_epi8(u, v);
        __m512i first = _mm512_unpacklo_epi8(x, u), second = _mm512_unpackhi_epi8(x, u);
        _mm512_storeu_si512(next + 2 * at, _mm512_permutex2var_epi64(first, lower, second));
        _mm512_storeu_si512(next + 2 * at + WORD, _mm512_permutex2var_epi64(first, higher, second));
    }
}
#endif

#endif
