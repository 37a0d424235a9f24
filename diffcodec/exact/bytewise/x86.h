/* Instruction sets of x86-64. */
#include <cpuid.h>
#include <immintrin.h>

#define LOAD256(p) _mm256_loadu_si256((const __m256i *)(p))
#define STORE256(p, v) _mm256_storeu_si256((__m256i *)(p), v)


#define NAME(f) f##_avx2
#define TARGET __attribute__((target("avx2")))
#define PIXELS 4
#define DOT4(acc, x, w)                                                                            \
    _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), _mm256_set1_epi16(1)))
#define DOT2(acc, x, w) _mm256_add_epi32(acc, _mm256_madd_epi16(x, w))
#include "vectors_256.h"

#if __GNUC__ >= 11 || defined(__clang__)
#define AVXVNNI
#define NAME(f) f##_avxvnni
#define TARGET __attribute__((target("avx2,avxvnni")))
#define PIXELS 6
#define DOT4(acc, x, w) _mm256_dpbusd_avx_epi32(acc, x, w)
#define DOT2(acc, x, w) _mm256_dpwssd_avx_epi32(acc, x, w)
#include "vectors_256.h"
#endif

#define NAME(f) f##_vnni
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define V __m512i
#define D __m512i
#define X __m512i
#define LANES 16
#define PIXELS 12
#define UNROLL UNROLLED
#define LOAD(p) _mm512_loadu_si512(p)
#define STORE(p, v) _mm512_storeu_si512(p, v)
#define STORE_FAR(p, v) _mm512_stream_si512((__m512i *)(p), v)
#define ADDS _mm512_adds_epi16
#define PRODUCT _mm512_mulhrs_epi16
#define MIN _mm512_min_epi16
#define MAX _mm512_max_epi16
#define SHIFT(v, n) _mm512_sll_epi16(v, _mm_cvtsi32_si128(n))
#define SPLAT(x) _mm512_set1_epi16(x)
#define BYTES(p, v)                                                                                \
    STORE256(p, _mm512_cvtusepi16_epi8(_mm512_max_epi16(v, _mm512_setzero_si512())))
#define SUMS(a, one, b, two)                                                                       \
    _mm512_packs_epi32(_mm512_srav_epi32(a, one), _mm512_srav_epi32(b, two))
#define ADD32 _mm512_add_epi32
#define ZERO32 _mm512_setzero_si512()
#define LOAD32(p) _mm512_loadu_si512(p)
#define STORE32(p, v) _mm512_storeu_si512(p, v)
#define SPLAT4(p) _mm512_set1_epi32(four(p))
#define DOT4(acc, x, w) _mm512_dpbusd_epi32(acc, x, w)
#define DOT2(acc, x, w) _mm512_dpwssd_epi32(acc, x, w)
#include "dots.h"

#if defined(__linux__) && __GNUC__ >= 11
#define AMX
#include "amx.h"
#endif
