/* How much model a level has, and where what it learns lies. level.py mirrors this file. */

#define NODES 128     /* of the tree, told apart by the path of the first six decisions */
#define PATHS 64      /* contexts of the last mixer */
#define VALUES 512    /* contexts of a final correction */
#define BINS 33       /* its logits: -8 .. 8 */
#define CORRECTIONS 3
#define SCALES 48     /* classes of a local squared error */
#define PLAIN 5       /* tables whose contexts are small numbers; those after are hashed */
#define SLOTS 1024    /* of a plain table */
#define MOST_TABLES 14
#define MOST_SETS 7
#define MOST_FITS 6
#define CLASSES 16
#define FILTER 16     /* weights of the filter of errors, and of the scale's features */

typedef struct {
    int experts;    /* groups of 16 */
    int sets;       /* of mixing weights */
    int tables;     /* of calibration */
    int classic;    /* predictors */
    int fits;       /* means by least squares */
    int wide;       /* whether there is a window between the local and the whole */
    int switched;   /* fits of a class of samples each */
    int hashed;     /* bits of a hashed table's slots, at most */
} Level;

static const Level FAST = {1, 4, 8, 6, 2, 0, 0, 15};
static const Level DEFAULT = {2, 7, 14, 10, 5, 0, 0, 16};
static const Level BEST = {2, 7, 14, 10, 6, 1, 2, 18};

/* Luminance and two chrominances of a step of green, red and blue. */
static const float GRIDS[4][3][3] = {
    /* JPEG */
    {{0.587f, 0.299f, 0.114f}, {-0.331264f, -0.168736f, 0.5f}, {-0.418688f, 0.5f, -0.081312f}},
    /* video, BT.601 */
    {{0.504129f, 0.256788f, 0.097906f},
     {-0.290993f, -0.148223f, 0.439216f},
     {-0.367788f, 0.439216f, -0.071427f}},
    /* video, BT.709 */
    {{0.614231f, 0.182586f, 0.062007f},
     {-0.338572f, -0.100644f, 0.439216f},
     {-0.398942f, 0.439216f, -0.040274f}},
    /* Photo CD */
    {{0.432273f, 0.220027f, 0.083861f},
     {-0.264755f, -0.134760f, 0.399515f},
     {-0.322371f, 0.384911f, -0.062540f}}};

/* Contexts of each set of mixing weights. */
static const int SET_SIZE[MOST_SETS] = {256, 256, 240, 336, 576, 432, 128};

/* Lanes of the experts: the blend with the learnt scale, the blend of fits, the fits, then: */
INLINE int lane_estimate(const Level *l) { return 2 + l->fits; }
INLINE int lane_state(const Level *l) { return lane_estimate(l) + 1; }
INLINE int lane_filter(const Level *l) { return lane_state(l) + 1; }
INLINE int lane_classic(const Level *l) { return lane_filter(l) + 1; }
INLINE int lane_pool(const Level *l) { return lane_classic(l) + l->classic; }
INLINE int lane_narrow(const Level *l) { return lane_pool(l) + 1; }
INLINE int lane_broad(const Level *l) { return lane_narrow(l) + 1; }
INLINE int lane_switched(const Level *l) { return lane_broad(l) + 1; }
INLINE int lanes_used(const Level *l) { return lane_switched(l) + l->switched; }
