/* An I2S microphone (INMP441, ICS-43434 ...) in, an LED and log lines out.
 *
 *     I (12345) listen: alert on, since 9.6 s
 *     I (20123) listen: 41 windows, score 0.013, level -38.2 dBFS, 0 clipped, load 7 %, lost 0
 *
 * Two tasks: `hear` copies what the I2S driver has into a ring, whatever else is going on; `listen`
 * takes it out and runs the library, a slice of the network at a time. TensorFlow Lite Micro runs a
 * network in one piece, so that the ring must hold all that comes meanwhile. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "driver/gpio.h"
#include "driver/i2s_std.h"
#include "esp_attr.h"
#include "esp_check.h"
#include "esp_log.h"
#include "esp_timer.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "sdkconfig.h"

#include "crydistill_golden.h"
#include "crydistill_model.h"
#include "crydistill_port.h"
#ifdef LISTEN_TFLM
#include "crydistill_tflm.h"
#define ARENA_BYTES CRYDISTILL_TFLM_ARENA_BYTES
/* A hop: a network that takes longer cannot keep up, however much is stored. */
#define RING_SAMPLES (CRYDISTILL_WINDOW_HOP_FRAMES * CRYDISTILL_FRAME_HOP + 2 * PIECE)
#else
#define ARENA_BYTES CRYDISTILL_ARENA_BYTES
/* A slice of the network or a frame of the front end, and two pieces. */
#define RING_SAMPLES 1024
#endif
#ifdef CONFIG_LISTEN_RIGHT_SLOT
#define SLOT I2S_STD_SLOT_RIGHT
#else
#define SLOT I2S_STD_SLOT_LEFT
#endif

#if !CONFIG_CRYDISTILL_CUSTOM_SETTINGS && !defined(CRYDISTILL_DEFAULT_PRESET)
#error "this student has no preset: set the detector by hand (CRYDISTILL_CUSTOM_SETTINGS)"
#endif

/* The driver's buffers, 80 ms, are for the time until `hear` has its turn, which Wi-Fi may delay. */
enum { PIECE = 160, BUFFERS = 8, REPORT_SECONDS = 10 };
enum { HEAR_PRIORITY = 10, HEAR_STACK = 3072, LISTEN_PRIORITY = 1, LISTEN_STACK = 8192 };

static const char *const TAG = "listen";

CRYDISTILL_ALIGNED static int8_t arena[ARENA_BYTES];
static int8_t backlog[CRYDISTILL_BACKLOG_BYTES];
static int16_t ring_samples[RING_SAMPLES];
static struct crydistill_ring ring;
static struct crydistill ear;
static TaskHandle_t listener;
static atomic_uint dropped; /* pieces that came while the driver's buffers were full */

/* What `hear` has measured, for `listen` to log: written while it is not due, read while it is. */
static struct crydistill_level_meter reported;
static atomic_bool report_due;

static uint32_t windows;
static float last_score;

static bool IRAM_ATTR on_overflow(i2s_chan_handle_t channel, i2s_event_data_t *event, void *context)
{
    (void)channel;
    (void)event;
    (void)context;
    atomic_fetch_add(&dropped, 1);
    return false;
}

static i2s_chan_handle_t start_microphone(void)
{
    i2s_chan_handle_t channel;
    i2s_chan_config_t config = I2S_CHANNEL_DEFAULT_CONFIG(I2S_NUM_AUTO, I2S_ROLE_MASTER);
    config.dma_desc_num = BUFFERS;
    config.dma_frame_num = PIECE;
    ESP_ERROR_CHECK(i2s_new_channel(&config, NULL, &channel));

    i2s_std_config_t format = {
        .clk_cfg = I2S_STD_CLK_DEFAULT_CONFIG(CRYDISTILL_SAMPLE_RATE),
        .slot_cfg =
            I2S_STD_PHILIPS_SLOT_DEFAULT_CONFIG(I2S_DATA_BIT_WIDTH_32BIT, I2S_SLOT_MODE_MONO),
        .gpio_cfg = {.mclk = I2S_GPIO_UNUSED,
                     .bclk = CONFIG_LISTEN_I2S_BCLK,
                     .ws = CONFIG_LISTEN_I2S_WS,
                     .dout = I2S_GPIO_UNUSED,
                     .din = CONFIG_LISTEN_I2S_DATA},
    };
    /* Which of the two slots the microphone drives is its L/R pin's choice, and the default of mono
     * differs between chips. */
    format.slot_cfg.slot_mask = SLOT;
    const i2s_event_callbacks_t callbacks = {.on_recv_q_ovf = on_overflow};
    ESP_ERROR_CHECK(i2s_channel_init_std_mode(channel, &format));
    ESP_ERROR_CHECK(i2s_channel_register_event_callback(channel, &callbacks, NULL));
    ESP_ERROR_CHECK(i2s_channel_enable(channel));
    return channel;
}

static struct crydistill_settings chosen_settings(void)
{
#if CONFIG_CRYDISTILL_CUSTOM_SETTINGS
    const struct crydistill_settings settings = {
        .threshold = CONFIG_CRYDISTILL_THRESHOLD / 10000.0f,
        .n = CONFIG_CRYDISTILL_N,
        .m = CONFIG_CRYDISTILL_M,
        .hold_ms = CONFIG_CRYDISTILL_HOLD_MS,
    };
    return settings;
#else
    return CRYDISTILL_DEFAULT_PRESET;
#endif
}

static const struct crydistill_model *chosen_model(void)
{
#ifdef LISTEN_TFLM
    return crydistill_tflm_init(&crydistill_student, arena);
#else
    return &crydistill_student;
#endif
}

static void on_window(void *context, const struct crydistill_window *window)
{
    (void)context;
    windows++;
    last_score = window->score;
    if (window->event == CRYDISTILL_ON) {
        const uint32_t since = window->onset * (CRYDISTILL_WINDOW_HOP_MS / 10);
        ESP_LOGI(TAG, "alert on, since %" PRIu32 ".%02" PRIu32 " s", since / 100, since % 100);
        gpio_set_level(CONFIG_LISTEN_LED, 1);
    } else if (window->event == CRYDISTILL_OFF) {
        ESP_LOGI(TAG, "alert off");
        gpio_set_level(CONFIG_LISTEN_LED, 0);
    }
}

/* busy: microseconds in the library since the last report */
static void report(int64_t busy)
{
    const int32_t level = crydistill_level_decibels(&reported);
    ESP_LOGI(TAG,
             "%" PRIu32 " windows, score %.3f, level %s%" PRId32 ".%" PRId32 " dBFS, %" PRIu32
             " clipped, load %d %%, lost %" PRIu32,
             windows, (double)last_score, level < 0 ? "-" : "", (int32_t)abs((int)level) / 10,
             (int32_t)abs((int)level) % 10, reported.clipped,
             (int)(busy / (REPORT_SECONDS * 10000)), crydistill_ring_lost(&ring));
}

/* Whether the library listens now; if not, the log says why. */
static bool start_listening(void)
{
    const struct crydistill_settings settings = chosen_settings();
    const struct crydistill_config config = {
        .model = chosen_model(),
        .settings = &settings,
        .arena = arena,
        .arena_bytes = sizeof arena,
        .listener = on_window,
        .backlog = backlog,
    };
    if (config.model == NULL) {
        ESP_LOGE(TAG, "TensorFlow Lite Micro refuses the student or the arena");
        return false;
    }
#if CONFIG_CRYDISTILL_SELFTEST
    const int64_t begin = esp_timer_get_time();
    const enum crydistill_selftest_result result =
        crydistill_selftest(&ear, &config, &crydistill_golden_vectors);
    ESP_LOGI(TAG, "self-test %s in %d ms", crydistill_selftest_text(result),
             (int)((esp_timer_get_time() - begin) / 1000));
    if (result != CRYDISTILL_SELFTEST_PASSED) {
        return false;
    }
#endif
    enum crydistill_error error = crydistill_init(&ear, &config);
    if (error == CRYDISTILL_OK) {
        error = crydistill_ring_init(&ring, ring_samples, RING_SAMPLES);
    }
    if (error != CRYDISTILL_OK) {
        ESP_LOGE(TAG, "%s", crydistill_error_text(error));
    }
    return error == CRYDISTILL_OK;
}

/* The ring's reader, and the only task that calls the library about `ear`. */
static void listen(void *unused)
{
    (void)unused;
    int64_t busy = 0;
    uint32_t rested = 0;
    for (;;) {
        bool idle;
        const int64_t start = esp_timer_get_time();
        crydistill_step(&ear, &ring, &idle);
        busy += esp_timer_get_time() - start;
        if (atomic_load(&report_due)) {
            report(busy);
            busy = 0;
            atomic_store(&report_due, false);
        }
        if (idle) {
            ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
        } else if (windows != rested) {
            /* On a chip that is too slow this task is never idle: let those of lower priority run. */
            rested = windows;
            vTaskDelay(1);
        }
    }
}

/* The ring's writer. */
static void hear(void *microphone)
{
    static int32_t raw[PIECE];
    static int16_t pcm[PIECE];
    struct crydistill_level_meter meter = {0};
    unsigned known = 0;
    for (;;) {
        size_t bytes = 0;
        ESP_ERROR_CHECK(i2s_channel_read(microphone, raw, sizeof raw, &bytes, portMAX_DELAY));
        /* The driver drops the oldest pieces: those before the one that was just read. */
        const unsigned now = atomic_load(&dropped);
        if (now != known) {
            crydistill_ring_gap(&ring, (now - known) * PIECE);
            known = now;
        }
        const size_t n = bytes / sizeof *raw;
        crydistill_amplify(raw, pcm, n, CONFIG_CRYDISTILL_GAIN_BITS, &meter);
        crydistill_ring_write(&ring, pcm, (uint32_t)n);
        if (meter.samples >= REPORT_SECONDS * CRYDISTILL_SAMPLE_RATE && !atomic_load(&report_due)) {
            reported = meter;
            meter = (struct crydistill_level_meter){0};
            atomic_store(&report_due, true);
        }
        xTaskNotifyGive(listener);
    }
}

void app_main(void)
{
    if (!start_listening()) {
        return;
    }
    gpio_reset_pin(CONFIG_LISTEN_LED);
    gpio_set_direction(CONFIG_LISTEN_LED, GPIO_MODE_OUTPUT);
    /* i2s_chan_handle_t is a pointer. */
    const i2s_chan_handle_t microphone = start_microphone();
    if (xTaskCreate(listen, "listen", LISTEN_STACK, NULL, LISTEN_PRIORITY, &listener) != pdPASS ||
        xTaskCreate(hear, "hear", HEAR_STACK, microphone, HEAR_PRIORITY, NULL) != pdPASS) {
        ESP_LOGE(TAG, "not enough memory for the tasks");
    }
}
