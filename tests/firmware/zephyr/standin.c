/* A microphone that hears the file $SOUND, and stops once after $STOPS_AFTER blocks. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <zephyr/audio/dmic.h>
#include <zephyr/sys/printk.h>

const struct device standin_dmic_dev = {"dmic"};
static struct pcm_stream_cfg format;
static bool runs;

bool device_is_ready(const struct device *device)
{
    return device == &standin_dmic_dev;
}

void k_mem_slab_free(struct k_mem_slab *slab, void *block)
{
    slab->used &= ~(1u << (((char *)block - slab->blocks) / (ptrdiff_t)slab->size));
}

static void *allocate(struct k_mem_slab *slab)
{
    for (uint32_t i = 0; i < slab->count; i++) {
        if ((slab->used & (1u << i)) == 0) {
            slab->used |= 1u << i;
            return slab->blocks + i * slab->size;
        }
    }
    return NULL;
}

void printk(const char *format_, ...)
{
    va_list values;
    va_start(values, format_);
    vprintf(format_, values);
    va_end(values);
}

uint32_t dmic_build_channel_map(uint8_t channel, uint8_t pdm, enum pdm_lr lr)
{
    return (((pdm & 7u) << 1) | lr) << ((channel & 7u) * 4);
}

int dmic_configure(const struct device *device, struct dmic_cfg *config)
{
    format = *config->streams;
    config->channel.act_num_chan = config->channel.req_num_chan;
    const bool can = format.pcm_rate == 16000 && format.pcm_width == 16 &&
                     config->channel.req_num_chan == 1 && config->channel.req_num_streams == 1 &&
                     format.block_size <= format.mem_slab->size;
    return device == &standin_dmic_dev && !runs && can ? 0 : -EINVAL;
}

int dmic_trigger(const struct device *device, enum dmic_trigger command)
{
    (void)device;
    runs = command == DMIC_TRIGGER_START;
    return 0;
}

int dmic_read(const struct device *device, uint8_t stream, void **buffer, size_t *size,
              int32_t timeout)
{
    static FILE *sound;
    static int blocks;
    (void)device;
    (void)stream;
    (void)timeout;
    const char *stops = getenv("STOPS_AFTER");
    if (!runs || (stops != NULL && blocks++ == atoi(stops))) {
        return -EIO;
    }
    if (sound == NULL) {
        sound = fopen(getenv("SOUND"), "rb");
    }
    *buffer = allocate(format.mem_slab);
    if (*buffer == NULL) {
        return -ENOMEM;
    }
    *size = fread(*buffer, 1, format.block_size, sound);
    if (*size == 0) {
        exit(0);
    }
    return 0;
}
