/* The byte kernel without Python: evaluates what stands in a file, so that it runs under emulation.
 *
 * Usage: kernel_of_bytes SET FILE. The file holds seven sizes in bytes (int64) and as many blocks: the
 * layers, weights, sums, constants, memory, output and chains of kernel.c. The output is written to
 * stdout. Exit status 3: there is no such instruction set.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "sets.h"

#define BLOCKS 7

int main(int argc, char **argv)
{
    int64_t sizes[BLOCKS];
    void *block[BLOCKS];
    FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
    Rows *of_set = argc == 3 ? find(argv[1]) : NULL;
    if (!file || fread(sizes, sizeof sizes, 1, file) != 1) return 2;
    for (int i = 0; i < BLOCKS; i++) {
        block[i] = aligned_alloc(4096, (size_t)(sizes[i] + 8191) / 4096 * 4096);
        if (!block[i] || fread(block[i], 1, (size_t)sizes[i], file) != (size_t)sizes[i]) return 2;
    }
    if (!of_set) return 3;
    Network n = {block[0], block[1], block[2], block[3], block[4], block[5]};
    chains(&n, block[6], sizes[6] / (int64_t)sizeof(int64_t[4]), of_set);
    size_t written = fwrite(block[5], 1, (size_t)sizes[5], stdout);
    for (int i = 0; i < BLOCKS; i++) free(block[i]);
    fclose(file);
    return written == (size_t)sizes[5] ? 0 : 2;
}
