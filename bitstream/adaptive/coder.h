/* Binary decisions with probabilities of 16 bits: an arithmetic coder of 64 bits without carries.
 *
 * coder.py mirrors this file. A decoder that runs out of bytes reads zeros; where the file was cut
 * it knows which bits it only supposes, and `sure` says whether they have mattered yet.
 *
 * The same decisions may lie on a stack of bits instead (stack.h): they are recorded, for somebody
 * to push them in reverse, or popped.
 */
#include <stdint.h>
#include <string.h>

typedef struct {
    uint64_t low, high; /* both inclusive */
    uint64_t code, supposed;
    uint8_t *bytes;
    int64_t at, size;
    int decoding, cut, sure;
    int on_stack;
    uint32_t *record; /* of decisions; `at` and `size` count them */
    Stack stack;      /* that they are popped from */
} Coder;

INLINE void next_byte(Coder *c)
{
    int there = c->at < c->size;
    c->code = c->code << 8 | (there ? c->bytes[c->at] : 0);
    c->supposed = c->supposed << 8 | (there || !c->cut ? 0 : 255);
    c->at++;
}

/* Where there is no room the byte is counted alone. */
INLINE void put_byte(Coder *c, uint8_t byte)
{
    if (c->at < c->size) c->bytes[c->at] = byte;
    c->at++;
}

static void begin_coding(Coder *c, uint8_t *bytes, int64_t size, int decoding, int cut)
{
    *c = (Coder){.high = UINT64_MAX, .bytes = bytes, .size = size, .decoding = decoding,
                 .cut = cut, .sure = 1};
    if (decoding)
        for (int i = 0; i < 8; i++) next_byte(c);
}

static void begin_recording(Coder *c, uint32_t *record, int64_t size)
{
    *c = (Coder){.record = record, .size = size, .sure = 1, .on_stack = 1};
}

/* at: the place of the first decision, which says its lane. */
static void begin_popping(Coder *c, Stack stack, int64_t at)
{
    *c = (Coder){.stack = stack, .at = at, .decoding = 1, .sure = 1, .on_stack = 1};
}

/* Where there is no room to record, decisions are counted alone. */
static int decide_on_stack(Coder *c, uint32_t probability, int bit)
{
    if (c->decoding) {
        bit = pop_decision(&c->stack, c->at, probability);
        c->sure = !c->stack.empty;
    } else if (c->at < c->size) {
        c->record[c->at] = recorded(probability, bit);
    }
    c->at++;
    return bit;
}

/* The decision, which an encoder states; probability: of 1, in 1/65536. */
INLINE int decide(Coder *c, uint32_t probability, int bit)
{
    if (c->on_stack) return decide_on_stack(c, probability, bit);
    uint64_t middle = c->low + ((c->high - c->low) >> 16) * probability;
    if (c->decoding) {
        bit = c->code <= middle;
        c->sure &= bit == ((c->code | c->supposed) <= middle);
    }
    c->high = bit ? middle : c->high;
    c->low = bit ? c->low : middle + 1;
    while (!((c->low ^ c->high) >> 56)) {
        if (c->decoding)
            next_byte(c);
        else
            put_byte(c, (uint8_t)(c->high >> 56));
        c->low <<= 8;
        c->high = c->high << 8 | 255;
    }
    return bit;
}

/* The fewest bytes that, with zeros after them, lie inside; zeros at the end are left out. */
static void end_encoding(Coder *c)
{
    for (int bytes = 0; bytes <= 8; bytes++) {
        uint64_t rest = bytes == 8 ? 0 : UINT64_MAX >> 8 * bytes;
        uint64_t value = (c->low + rest) & ~rest;
        if (value < c->low || value > c->high) continue;
        for (int i = 0; i < bytes; i++) put_byte(c, (uint8_t)(value >> (56 - 8 * i)));
        break;
    }
    while (c->at && c->at <= c->size && !c->bytes[c->at - 1]) c->at--;
}
