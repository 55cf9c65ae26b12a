#ifndef STANDIN_KERNEL_H
#define STANDIN_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct device {
    const char *name;
};
#define DT_NODELABEL(label) standin_##label
#define DEVICE_DT_GET(node) (&node)
extern const struct device standin_dmic_dev;
bool device_is_ready(const struct device *device);

struct k_mem_slab {
    char *blocks;
    size_t size;
    uint32_t count, used; /* used: a bit a block */
};
#define K_MEM_SLAB_DEFINE_STATIC(name, bytes, number, alignment)                                   \
    static char name##_blocks[(bytes) * (number)] __attribute__((aligned(alignment)));             \
    static struct k_mem_slab name = {name##_blocks, bytes, number, 0}
void k_mem_slab_free(struct k_mem_slab *slab, void *block);

#endif
