/* The list search among LANES paths: included by polar.c once for every size of the list.
 *
 * A row holds a number of every path, side by side, so that the loops over paths are vectors. Paths
 * die and others take their lanes; what was written before is left where it is, and a map tells for
 * every lane in which one its ancestor was. A node of 2^height rows reports to its caller such a
 * map, `parent`, from its end to its beginning.
 */
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define LIST(name) JOIN(name, LANES)
#define EACH(k) for (int k = 0; k < LANES; k++)

/* The values of a node's second half from its own, a, and the first half's bits x. */
SIMD static void LIST(better)(const float *restrict a, const uint8_t *restrict x,
                              const uint8_t *restrict parent, int half, float *restrict out)
{
    int32_t from[LANES];
    EACH(k) from[k] = parent[k];
    for (int j = 0; j < half; j++) {
        const float *u = a + j * LANES, *v = u + half * LANES;
        float p[LANES], q[LANES];
        EACH(k) p[k] = u[from[k]];
        EACH(k) q[k] = v[from[k]];
        EACH(k) out[j * LANES + k] = together(x[j * LANES + k] ? -p[k] : p[k], q[k]);
    }
}

/* The same if all paths share the values of the node. */
SIMD static void LIST(better_shared)(const float *restrict a, const uint8_t *restrict x, int half,
                                     float *restrict out)
{
    for (int j = 0; j < half; j++) {
        float plus = together(a[j], a[j + half]), minus = together(-a[j], a[j + half]);
        EACH(k) out[j * LANES + k] = x[j * LANES + k] ? minus : plus;
    }
}

/* Symbols of a node from those of its halves, in place. */
SIMD static void LIST(combine)(uint8_t *x, const uint8_t *restrict parent, int half)
{
    for (int j = 0; j < half; j++) {
        uint8_t *u = x + j * LANES, moved[LANES];
        const uint8_t *v = u + half * LANES;
        EACH(k) moved[k] = u[parent[k]];
        EACH(k) u[k] = moved[k] ^ v[k];
    }
}

/* What zeros cost in bits, added to the metric; and in `ones`, unless NULL, what ones cost more. */
SIMD static void LIST(zeros)(const float *restrict t, int rows, float *restrict metric,
                             float *restrict ones)
{
    float zero[LANES] = {0}, one[LANES] = {0};
    for (int j = 0; j < rows; j += PRODUCT) {
        float p[LANES], q[LANES];
        EACH(k) p[k] = q[k] = 1;
        for (int i = j; i < rows && i < j + PRODUCT; i++) EACH(k) {
            p[k] *= 0.5f + 0.5f * t[i * LANES + k];
            q[k] *= 0.5f - 0.5f * t[i * LANES + k];
        }
        EACH(k) zero[k] -= log2_of(p[k]);
        if (ones) EACH(k) one[k] -= log2_of(q[k]);
    }
    EACH(k) metric[k] += zero[k];
    if (ones) EACH(k) ones[k] = one[k] - zero[k];
}

/* The likelier value of every symbol; adds what they cost to the metric. */
SIMD static void LIST(likelier)(const float *restrict t, int rows, float *restrict metric,
                                uint8_t *restrict x)
{
    float cost[LANES] = {0};
    for (int j = 0; j < rows; j += PRODUCT) {
        float p[LANES];
        EACH(k) p[k] = 1;
        for (int i = j; i < rows && i < j + PRODUCT; i++) EACH(k) {
            float y = t[i * LANES + k];
            p[k] *= 0.5f + 0.5f * (y < 0 ? -y : y);
            x[i * LANES + k] = y < 0;
        }
        EACH(k) cost[k] -= log2_of(p[k]);
    }
    EACH(k) metric[k] += cost[k];
}

/* What the other value of a symbol costs; 0 if no such path could enter the list. */
SIMD static int LIST(other)(const float *restrict t, const uint8_t *restrict parent,
                            const float *restrict metric, float *restrict cost)
{
    float y[LANES], worst = 0, least = NEVER;
    EACH(k) y[k] = t[parent[k]];
    EACH(k) {
        float size = y[k] < 0 ? -y[k] : y[k];
        cost[k] = log2_of((1 + size) / (1 - size));
        float sum = metric[k] + cost[k];
        worst = metric[k] > worst ? metric[k] : worst;
        least = sum < least ? sum : least;
    }
    return least < worst;
}

/* How many of the 2 LANES costs lie below each of them. */
SIMD static void LIST(rank)(const float *restrict cost, int32_t *restrict below)
{
    for (int k = 0; k < 2 * LANES; k++) below[k] = 0;
    for (int i = 0; i < 2 * LANES; i++)
        for (int k = 0; k < 2 * LANES; k++) below[k] += cost[i] < cost[k];
}

/* Every path goes on with a choice 0, which is free, and 1, which costs; the best ones survive.
 * Those stay in their lane, second ones of a parent take lanes of the dead. */
static void LIST(fork)(float *metric, const float *cost, uint8_t *parent, uint8_t *choice)
{
    float sum[2 * LANES], best = NEVER;
    int32_t below[2 * LANES];
    int empty[LANES], dead = 0;
    EACH(k) sum[k] = metric[k];
    EACH(k) sum[k + LANES] = metric[k] + cost[k];
    LIST(rank)(sum, below);
    for (int k = 0; k < 2 * LANES; k++)
        if (sum[k] > NEVER / 2) below[k] = LANES;
    EACH(k) {
        parent[k] = (uint8_t)k;
        choice[k] = below[k] >= LANES;
        metric[k] = sum[k + LANES * choice[k]];
        if (choice[k] && below[k + LANES] >= LANES) empty[dead++] = k;
    }
    for (int k = 0; k < LANES && dead; k++)
        if (below[k] < LANES && below[k + LANES] < LANES) {
            int lane = empty[--dead];
            parent[lane] = (uint8_t)k;
            choice[lane] = 1;
            metric[lane] = sum[k + LANES];
        }
    while (dead) metric[empty[--dead]] = NEVER;
    EACH(k) best = metric[k] < best ? metric[k] : best;
    EACH(k) metric[k] = metric[k] > NEVER / 2 ? NEVER : metric[k] - best;
}

/* A node whose symbols are all the same bit. */
static void LIST(repetition)(Search *s, const float *t, int rows, uint8_t *x, uint8_t *parent)
{
    float ones[LANES];
    uint8_t bit[LANES];
    LIST(zeros)(t, rows, s->metric, ones);
    LIST(fork)(s->metric, ones, parent, bit);
    for (int j = 0; j < rows; j++) memcpy(x + j * LANES, bit, LANES);
}

/* A node whose symbols are any bits: the likelier ones, and where it could matter the others. */
static void LIST(any)(Search *s, const float *t, int rows, uint8_t *x, uint8_t *parent)
{
    float cost[LANES];
    uint8_t from[LANES], flip[LANES], moved[LANES];
    LIST(likelier)(t, rows, s->metric, x);
    for (int j = 0; j < rows; j++) {
        if (!LIST(other)(t + j * LANES, parent, s->metric, cost)) continue;
        LIST(fork)(s->metric, cost, from, flip);
        for (int i = 0; i < rows; i++) {
            EACH(k) moved[k] = x[i * LANES + from[k]];
            memcpy(x + i * LANES, moved, LANES);
        }
        EACH(k) moved[k] = parent[from[k]];
        memcpy(parent, moved, LANES);
        EACH(k) x[j * LANES + k] ^= flip[k];
    }
}

static void LIST(node)(Search *s, int height, Py_ssize_t at, int shared, uint8_t *x,
                       uint8_t *parent);

/* A node by its halves. While the values of the node are shared by all paths, so are those of its
 * first half, and of the second if the first is zeros. */
static void LIST(halves)(Search *s, int height, Py_ssize_t at, int shared, uint8_t *x,
                         uint8_t *parent)
{
    int half = 1 << (height - 1), empty = information(s, at, half) == 0, lanes = shared ? 1 : LANES;
    float *many = s->many + ((size_t)LANES << height), *below = s->many + half * LANES;
    float *one = s->one + ((size_t)1 << height), *below_one = s->one + half;
    uint8_t second[LANES], moved[LANES];
    if (shared && empty) {
        memset(x, 0, (size_t)half * LANES);
    } else {
        worse(shared ? one : many, half * lanes, shared ? below_one : below);
        LIST(node)(s, height - 1, at, shared, x, parent);
    }
    if (!shared)
        LIST(better)(many, x, parent, half, below);
    else if (empty)
        better(one, x, half, below_one);
    else
        LIST(better_shared)(one, x, half, below);
    LIST(node)(s, height - 1, at + half, shared && empty, x + (size_t)half * LANES, second);
    LIST(combine)(x, second, half);
    EACH(k) moved[k] = parent[second[k]];
    memcpy(parent, moved, LANES);
}

/* Extends all paths by the node of 2^height inputs from number `at` on; its symbols go to x. */
static void LIST(node)(Search *s, int height, Py_ssize_t at, int shared, uint8_t *x,
                       uint8_t *parent)
{
    int rows = 1 << height, free = information(s, at, rows);
    float *many = s->many + ((size_t)LANES << height), *one = s->one + rows;
    EACH(k) parent[k] = (uint8_t)k;
    if (!free) { /* where values are shared, so is what zeros cost */
        if (!shared) LIST(zeros)(many, rows, s->metric, NULL);
        memset(x, 0, (size_t)rows * LANES);
        return;
    }
    int repeated = free == 1 && information(s, at + rows - 1, 1);
    if (!repeated && free < rows) {
        LIST(halves)(s, height, at, shared, x, parent);
        return;
    }
    if (shared)
        for (int j = 0; j < rows; j++) EACH(k) many[j * LANES + k] = one[j];
    if (repeated)
        LIST(repetition)(s, many, rows, x, parent);
    else
        LIST(any)(s, many, rows, x, parent);
}

/* The best path alone through such a node, whose values are in `one`. */
static void LIST(best)(Search *s, int height, Py_ssize_t at, uint8_t *out)
{
    uint8_t parent[LANES];
    int best = 0;
    EACH(k) s->metric[k] = k ? NEVER : 0;
    LIST(node)(s, height, at, 1, s->bits, parent);
    EACH(k) if (s->metric[k] < s->metric[best]) best = k;
    for (int j = 0; j < 1 << height; j++) out[j] = s->bits[(size_t)j * LANES + best];
}

#undef EACH
#undef LIST
#undef JOIN
#undef JOIN_
#undef LANES
