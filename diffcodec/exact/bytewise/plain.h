/* Plain C: vectors are arrays, which compilers see as such. */

typedef struct {
    int16_t x[8];
} Words;
typedef struct {
    int32_t x[4];
} Sums;

#define EACH(i, n) for (int i = 0; i < n; i++)
INLINE int16_t clip16(int32_t x) { return (int16_t)(x < -32768 ? -32768 : x > 32767 ? 32767 : x); }
INLINE Words words_load(const int16_t *p)
{
    Words v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void words_store(int16_t *p, Words v) { memcpy(p, &v, sizeof v); }
INLINE Words words_adds(Words a, Words b)
{
    EACH(i, 8) a.x[i] = clip16(a.x[i] + b.x[i]);
    return a;
}
INLINE Words words_product(Words a, Words b)
{
    EACH(i, 8) a.x[i] = (int16_t)((a.x[i] * b.x[i] + (1 << 14)) >> 15);
    return a;
}
INLINE Words words_min(Words a, Words b)
{
    EACH(i, 8) a.x[i] = a.x[i] < b.x[i] ? a.x[i] : b.x[i];
    return a;
}
INLINE Words words_max(Words a, Words b)
{
    EACH(i, 8) a.x[i] = a.x[i] > b.x[i] ? a.x[i] : b.x[i];
    return a;
}
INLINE Words words_shift(Words a, int bits)
{
    EACH(i, 8) a.x[i] = (int16_t)(a.x[i] * (1 << bits));
    return a;
}
INLINE Words words_splat(int16_t x)
{
    Words v;
    EACH(i, 8) v.x[i] = x;
    return v;
}
INLINE void words_bytes(uint8_t *p, Words v)
{
    EACH(i, 8) p[i] = (uint8_t)(v.x[i] < 0 ? 0 : v.x[i] > 255 ? 255 : v.x[i]);
}
INLINE Words words_of_sums(Sums a, Sums one, Sums b, Sums two)
{
    Words v;
    EACH(i, 4) v.x[i] = clip16(a.x[i] >> one.x[i]), v.x[4 + i] = clip16(b.x[i] >> two.x[i]);
    return v;
}
INLINE Sums sums_add(Sums a, Sums b)
{
    EACH(i, 4) a.x[i] += b.x[i];
    return a;
}
INLINE Sums sums_load(const void *p)
{
    Sums v;
    memcpy(&v, p, sizeof v);
    return v;
}
/* x: four bytes of a pixel, not signed; w: those of four channels, signed */
INLINE Sums sums_dot4(Sums acc, const uint8_t *x, Sums w)
{
    const int8_t *each = (const int8_t *)&w;
    EACH(i, 4) EACH(j, 4) acc.x[i] += x[j] * each[4 * i + j];
    return acc;
}
INLINE Sums sums_dot2(Sums acc, const uint8_t *x, Sums w)
{
    int16_t each[8], two[2];
    memcpy(each, &w, sizeof each);
    memcpy(two, x, sizeof two);
    EACH(i, 4) EACH(j, 2) acc.x[i] += two[j] * each[2 * i + j];
    return acc;
}

#define NAME(f) f##_portable
#define TARGET
#define V Words
#define D Sums
#define X const uint8_t *
#define LANES 4
#define PIXELS 2
#define UNROLL
#define LOAD(p) words_load(p)
#define STORE words_store
#define STORE_FAR words_store
#define ADDS words_adds
#define PRODUCT words_product
#define MIN words_min
#define MAX words_max
#define SHIFT words_shift
#define SPLAT words_splat
#define BYTES words_bytes
#define SUMS words_of_sums
#define ADD32 sums_add
#define ZERO32 ((Sums){{0}})
#define LOAD32(p) sums_load(p)
#define STORE32(p, v) memcpy(p, &v, sizeof v)
#define SPLAT4(p) (p)
#define DOT4(acc, x, w) sums_dot4(acc, x, w)
#define DOT2(acc, x, w) sums_dot2(acc, x, w)
#include "dots.h"
