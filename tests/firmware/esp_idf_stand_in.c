/* ESP-IDF and FreeRTOS, as far as the example needs them, on this computer: tasks are threads, and the
 * microphone plays a file of 16-bit samples, a piece whenever the listener has nothing else to do.
 *
 *     listen FILE AT PIECES   after AT pieces the driver drops PIECES of them */
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "driver/gpio.h"
#include "driver/i2s_std.h"
#include "esp_log.h"
#include "esp_timer.h"
#include "freertos/task.h"

void app_main(void);

struct task {
    TaskFunction_t run;
    void *argument;
    uint32_t notifications;
    bool waiting;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct task *listener; /* the one that waits for notifications */
static _Thread_local struct task *current;
static i2s_isr_callback_t on_overflow;
static FILE *file;
static long drop_at, drop_pieces, played;

static void *run(void *task)
{
    current = task;
    current->run(current->argument);
    return NULL;
}

BaseType_t xTaskCreate(TaskFunction_t function, const char *name, uint32_t stack, void *argument,
                       UBaseType_t priority, TaskHandle_t *created)
{
    (void)stack;
    struct task *task = calloc(1, sizeof *task);
    task->run = function;
    task->argument = argument;
    printf("task %s of priority %u\n", name, priority);
    if (created != NULL) {
        *created = task;
    }
    pthread_t thread;
    return pthread_create(&thread, NULL, run, task) == 0 ? pdPASS : 0;
}

BaseType_t xTaskNotifyGive(TaskHandle_t task)
{
    pthread_mutex_lock(&mutex);
    task->notifications++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    return pdPASS;
}

uint32_t ulTaskNotifyTake(BaseType_t clear, TickType_t ticks)
{
    (void)clear;
    (void)ticks;
    pthread_mutex_lock(&mutex);
    listener = current;
    current->waiting = true;
    pthread_cond_broadcast(&changed);
    while (current->notifications == 0) {
        pthread_cond_wait(&changed, &mutex);
    }
    current->waiting = false;
    const uint32_t taken = current->notifications;
    current->notifications = 0;
    pthread_mutex_unlock(&mutex);
    return taken;
}

void vTaskDelay(TickType_t ticks)
{
    (void)ticks;
}

static void wait_for_listener(void)
{
    pthread_mutex_lock(&mutex);
    while (listener == NULL || !listener->waiting || listener->notifications > 0) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

int i2s_new_channel(const i2s_chan_config_t *config, i2s_chan_handle_t *tx, i2s_chan_handle_t *rx)
{
    (void)tx;
    *rx = NULL;
    printf("buffers %u of %u\n", config->dma_desc_num, config->dma_frame_num);
    return 0;
}

int i2s_channel_init_std_mode(i2s_chan_handle_t channel, const i2s_std_config_t *config)
{
    (void)channel;
    printf("rate %u, slots %d\n", config->clk_cfg.sample_rate_hz, (int)config->slot_cfg.slot_mask);
    return 0;
}

int i2s_channel_register_event_callback(i2s_chan_handle_t channel,
                                        const i2s_event_callbacks_t *callbacks, void *context)
{
    (void)channel;
    (void)context;
    on_overflow = callbacks->on_recv_q_ovf;
    return 0;
}

int i2s_channel_enable(i2s_chan_handle_t channel)
{
    (void)channel;
    return 0;
}

int i2s_channel_read(i2s_chan_handle_t channel, void *to, size_t size, size_t *got, uint32_t timeout)
{
    (void)timeout;
    wait_for_listener();
    const size_t n = size / sizeof(int32_t);
    int16_t pcm[1024];
    i2s_event_data_t event = {0};
    for (long i = 0; i < drop_pieces && played == drop_at; i++) {
        on_overflow(channel, &event, NULL);
    }
    played++;
    const size_t count = fread(pcm, sizeof *pcm, n, file);
    if (count == 0) {
        printf("end\n");
        fflush(stdout);
        _Exit(0);
    }
    for (size_t i = 0; i < count; i++) {
        ((int32_t *)to)[i] = pcm[i] * 16384; /* the gain of two bits makes it whole again */
    }
    *got = count * sizeof(int32_t);
    return 0;
}

void esp_log(const char *tag, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%s: ", tag);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

int64_t esp_timer_get_time(void)
{
    return 0;
}

int gpio_reset_pin(gpio_num_t pin)
{
    return pin < 0;
}

int gpio_set_direction(gpio_num_t pin, gpio_mode_t mode)
{
    return pin < 0 || mode != GPIO_MODE_OUTPUT;
}

int gpio_set_level(gpio_num_t pin, uint32_t level)
{
    printf("led %u\n", level);
    return pin < 0;
}

int main(int argc, char **argv)
{
    file = argc == 4 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL) {
        return 2;
    }
    drop_at = atol(argv[2]);
    drop_pieces = atol(argv[3]);
    app_main();
    pthread_exit(NULL);
}
