/* Dot products of ARM: of signed bytes. Activations lie in memory with 128 taken off; the bias makes up
 * for it (packed.py).
 */
#include <arm_neon.h>
#if defined(__linux__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1 << 20)
#endif
#endif

static int may_use_neon(void)
{
#if defined(__linux__)
    return getauxval(AT_HWCAP) & HWCAP_ASIMDDP ? 1 : 0;
#elif defined(__APPLE__)
    return 1;
#else
    return 0;
#endif
}

#define NAME(f) f##_neon
#if defined(__clang__)
#define TARGET __attribute__((target("dotprod")))
#else
#define TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#endif
#define V int16x8_t
#define D int32x4_t
#define X int32x4_t
#define LANES 4
#define PIXELS 8
#define UNROLL UNROLLED
#define LOAD vld1q_s16
#define STORE vst1q_s16
#define STORE_FAR vst1q_s16
#define ADDS vqaddq_s16
#define PRODUCT vqrdmulhq_s16
#define MIN vminq_s16
#define MAX vmaxq_s16
#define SHIFT(v, n) vshlq_s16(v, vdupq_n_s16((int16_t)(n)))
#define SPLAT vdupq_n_s16
#define BYTES(p, v) vst1_u8(p, veor_u8(vqmovun_s16(v), vdup_n_u8(128)))
#define SUMS(a, one, b, two)                                                                       \
    vcombine_s16(vqmovn_s32(vshlq_s32(a, vnegq_s32(one))),                                         \
                 vqmovn_s32(vshlq_s32(b, vnegq_s32(two))))
#define ADD32 vaddq_s32
#define ZERO32 vdupq_n_s32(0)
#define LOAD32(p) vld1q_s32((const int32_t *)(p))
#define STORE32 vst1q_s32
#define SPLAT4(p) vdupq_n_s32(four(p))
#define DOT4(acc, x, w) vdotq_s32(acc, vreinterpretq_s8_s32(x), vreinterpretq_s8_s32(w))
#define WORDS(x) vreinterpretq_s16_s32(x)
#define DOT2(acc, x, w)                                                                            \
    vaddq_s32(acc, vpaddq_s32(vmull_s16(vget_low_s16(WORDS(x)), vget_low_s16(WORDS(w))),           \
                              vmull_high_s16(WORDS(x), WORDS(w))))
#include "dots.h"
