/* Weighted least squares with a ridge: sums of products, Cholesky's factor, weights.
 *
 * A Gram holds rows j of the sums  w f_j f_i  for i from the group of sixteen that j lies in; the
 * last of the regressors is the target. regression.py mirrors this file.
 */
#include <math.h>

#define MOST_GROUPS 4
#define MOST (LANES * MOST_GROUPS)
#define VECTORS(groups) (LANES * (groups) * ((groups) + 1) / 2) /* of a Gram */
#define RIDGE 0.15f
#define LARGEST 64.0f /* weight; what is larger, or no number, counts as 0 */

/* Where row j begins. */
INLINE int row_of(int groups, int j)
{
    int g = j / LANES;
    return j * groups - LANES * (g * (g - 1) / 2) - (j - LANES * g) * g;
}

/* sums: of  w f f^T  over n samples (n, groups), in their order. */
INLINE void sum_products(int groups, V *sums, const V *samples, const float *w, int n)
{
    for (int j = 0; j < LANES * groups; j++)
        for (int g = j / LANES; g < groups; g++) {
            V more = all(0);
            for (int k = 0; k < n; k++) {
                const V *sample = samples + k * groups;
                more += (w[k] * ((const float *)sample)[j]) * sample[g];
            }
            *sums++ = more;
        }
}

INLINE void fold_in(int groups, V *gram, float decay, const V *sums)
{
    for (int k = 0; k < VECTORS(groups); k++) gram[k] = gram[k] * decay + sums[k];
}

/* Cholesky's factor in place, of the first n regressors; the diagonal becomes its inverse, 0 for a
 * regressor that the ones before explain: its weight is 0.
 *
 * Rounding may leave anything in a Gram that is nearly singular, even what is no number; weights_of
 * lets none of it out. */
INLINE void factorise(int groups, V *gram, int n)
{
    for (int j = 0; j < n; j++) {
        V *row = gram + row_of(groups, j);
        int first = j / LANES;
        float *values = (float *)row - LANES * first;
        float pivot = values[j] * 1.000001f + RIDGE;
        float inverse = pivot > 0.5f * RIDGE ? 1.0f / __builtin_sqrtf(pivot) : 0.0f;
        for (int g = first; g < groups; g++) row[g - first] *= inverse;
        values[j] = inverse;
        for (int k = j + 1; k < n; k++) {
            float share = values[k];
            V *other = gram + row_of(groups, k);
            for (int g = k / LANES; g < groups; g++) other[g - k / LANES] -= share * row[g - first];
        }
    }
}

/* The weights of the first n regressors; the others' are 0. */
INLINE void weights_of(int groups, const V *factor, int n, V *weights)
{
    float *w = (float *)weights;
    for (int g = 0; g < groups; g++) weights[g] = all(0);
    for (int j = n - 1; j >= 0; j--) {
        const V *row = factor + row_of(groups, j);
        int first = j / LANES;
        const float *values = (const float *)row - LANES * first;
        V more = all(0);
        for (int g = first; g <= (n - 1) / LANES; g++) more += row[g - first] * weights[g];
        w[j] = (values[LANES * groups - 1] - sum(more)) * values[j];
    }
    for (int g = 0; g < groups; g++)
        weights[g] = choose((weights[g] <= LARGEST) & (weights[g] >= -LARGEST), weights[g], all(0));
}

INLINE float predict(int groups, const V *weights, const V *regressors)
{
    V more = all(0);
    for (int g = 0; g < groups; g++) more += weights[g] * regressors[g];
    return sum(more);
}
