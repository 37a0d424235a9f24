/* What both sets of 256 bits share; they say NAME, TARGET, PIXELS, DOT4 and DOT2. */
#define V __m256i
#define D __m256i
#define X __m256i
#define LANES 8
#define UNROLL UNROLLED
#define LOAD LOAD256
#define STORE STORE256
#define STORE_FAR(p, v) _mm256_stream_si256((__m256i *)(p), v)
#define ADDS _mm256_adds_epi16
#define PRODUCT _mm256_mulhrs_epi16
#define MIN _mm256_min_epi16
#define MAX _mm256_max_epi16
#define SHIFT(v, n) _mm256_sll_epi16(v, _mm_cvtsi32_si128(n))
#define SPLAT(x) _mm256_set1_epi16(x)
#define BYTES(p, v)                                                                                \
    _mm_storeu_si128((__m128i *)(p), _mm256_castsi256_si128(_mm256_permute4x64_epi64(              \
                                         _mm256_packus_epi16(v, v), 0x08)))
#define SUMS(a, one, b, two)                                                                       \
    _mm256_packs_epi32(_mm256_srav_epi32(a, one), _mm256_srav_epi32(b, two))
#define ADD32 _mm256_add_epi32
#define ZERO32 _mm256_setzero_si256()
#define LOAD32 LOAD256
#define STORE32 STORE256
#define SPLAT4(p) _mm256_set1_epi32(four(p))
#include "dots.h"
