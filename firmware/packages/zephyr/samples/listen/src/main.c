/* Tests the library, then listens to the board's digital microphone, if it has one that is called
 * dmic_dev in its devicetree: boards/ has an overlay to copy. */
#include <errno.h>

#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>

#include "crydistill_golden.h"
#include "crydistill_model.h"

CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_ARENA_BYTES];
static struct crydistill ear;

#ifdef CONFIG_AUDIO_DMIC
#include <zephyr/audio/dmic.h>

/* The network holds the thread up for less than the 0.7 s that the other blocks take. */
enum { PIECE = CRYDISTILL_SAMPLE_RATE / 10, BLOCK_BYTES = PIECE * sizeof(int16_t), BLOCKS = 8 };

K_MEM_SLAB_DEFINE_STATIC(blocks, BLOCK_BYTES, BLOCKS, 4);

static int start_microphone(const struct device *microphone)
{
    struct pcm_stream_cfg stream = {
        .pcm_rate = CRYDISTILL_SAMPLE_RATE,
        .pcm_width = 16,
        .block_size = BLOCK_BYTES,
        .mem_slab = &blocks,
    };
    struct dmic_cfg config = {
        .io = {.min_pdm_clk_freq = 1000000,
               .max_pdm_clk_freq = 3500000,
               .min_pdm_clk_dc = 40,
               .max_pdm_clk_dc = 60},
        .streams = &stream,
        .channel = {.req_num_streams = 1,
                    .req_num_chan = 1,
                    .req_chan_map_lo = dmic_build_channel_map(0, 0, PDM_CHAN_LEFT)},
    };
    const int error = device_is_ready(microphone) ? dmic_configure(microphone, &config) : -ENODEV;
    return error < 0 ? error : dmic_trigger(microphone, DMIC_TRIGGER_START);
}

/* Returns when the microphone does not start. */
static void listen(const struct device *microphone)
{
    int error = start_microphone(microphone);
    while (error >= 0) {
        void *block;
        size_t bytes;
        if (dmic_read(microphone, 0, &block, &bytes, 1000) >= 0) {
            crydistill_push(&ear, block, bytes / sizeof(int16_t));
            k_mem_slab_free(&blocks, block);
        } else {
            /* The driver stops where it has no block to fill. What is lost, it does not say. */
            crydistill_gap(&ear, 0);
            (void)dmic_trigger(microphone, DMIC_TRIGGER_STOP);
            error = start_microphone(microphone);
        }
    }
    printk("the microphone does not start: error %d\n", error);
}
#endif

static void on_window(void *context, const struct crydistill_window *window)
{
    (void)context;
    if (window->event == CRYDISTILL_ON) {
        printk("a baby cries\n");
    } else if (window->event == CRYDISTILL_OFF) {
        printk("it is quiet again\n");
    }
}

int main(void)
{
    const struct crydistill_config config = {
        .model = &crydistill_student,
        .settings = &CRYDISTILL_DEFAULT_PRESET,
        .arena = arena,
        .arena_bytes = sizeof arena,
        .listener = on_window,
    };
    const enum crydistill_selftest_result result =
        crydistill_selftest(&ear, &config, &crydistill_golden_vectors);
    printk("self-test %s\n", crydistill_selftest_text(result));
    const enum crydistill_error error = crydistill_init(&ear, &config);
    if (error != CRYDISTILL_OK) {
        printk("%s\n", crydistill_error_text(error));
        return 0;
    }
#ifdef CONFIG_AUDIO_DMIC
    listen(DEVICE_DT_GET(DT_NODELABEL(dmic_dev)));
#endif
    return 0;
}
