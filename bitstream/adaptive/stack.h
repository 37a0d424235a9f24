/* Binary decisions on a stack of bits (ans.py): pushed from the last to the first, and popped in the
 * order in which a model that learns asks for them. Decision i is in lane i mod lanes.
 *
 * stack.py mirrors this file.
 */

#define CHANCE 16 /* bits of a decision's chance */

typedef struct {
    uint64_t *states; /* one a lane, in [2^32, 2^64) */
    int64_t lanes;
    uint32_t *words;
    int64_t count; /* of words */
    int empty;     /* more was popped than there is */
} Stack;

/* What was decided, and the chance of 1 that it had, in one number. */
INLINE uint32_t recorded(uint32_t chance, int bit) { return (uint32_t)bit << CHANCE | chance; }

/* There is room for a word. */
INLINE void push_decision(Stack *s, int64_t place, uint32_t decision)
{
    int bit = (int)(decision >> CHANCE);
    uint64_t chance = decision & ((1u << CHANCE) - 1);
    uint64_t freq = bit ? chance : (1u << CHANCE) - chance, low = bit ? 0 : chance;
    uint64_t *state = s->states + place % s->lanes, x = *state;
    if (x >> (64 - CHANCE) >= freq) {
        s->words[s->count++] = (uint32_t)x;
        x >>= 32;
    }
    uint64_t q = x / freq;
    *state = (q << CHANCE) + (x - q * freq) + low;
}

/* A decision of this chance of 1; where the words end, nothing is sure any more. */
INLINE int pop_decision(Stack *s, int64_t place, uint32_t chance)
{
    uint64_t *state = s->states + place % s->lanes, x = *state;
    uint64_t slot = x & ((1u << CHANCE) - 1);
    int bit = slot < chance;
    uint64_t freq = bit ? chance : (1u << CHANCE) - chance, low = bit ? 0 : chance;
    x = freq * (x >> CHANCE) + slot - low;
    if (!(x >> 32)) {
        if (!s->count) {
            s->empty = 1;
            return bit;
        }
        x = x << 32 | s->words[--s->count];
    }
    *state = x;
    return bit;
}
