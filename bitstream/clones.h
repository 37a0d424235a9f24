/* SIMD stands before a function that has a form for each generation of x86-64 processors, of which the
 * right one is chosen as the library is loaded. A build that names a generation itself, by -march,
 * says -DSIMD= as well and has one form.
 */
#ifndef CLONES_H
#define CLONES_H

#include <float.h>
#include <stdlib.h> /* says whether the C library is GNU's, whose loader can choose */

#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "this needs singles that are rounded as singles: on 32-bit x86 say -msse2 -mfpmath=sse"
#endif

#if defined(SIMD)
#elif defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12
#define SIMD __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define SIMD
#endif

#endif
