#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
typedef struct i2s_channel *i2s_chan_handle_t;
typedef struct { uint32_t dma_desc_num, dma_frame_num; } i2s_chan_config_t;
typedef struct { uint32_t sample_rate_hz; } i2s_std_clk_config_t;
typedef enum { I2S_STD_SLOT_LEFT = 1, I2S_STD_SLOT_RIGHT = 2 } i2s_std_slot_mask_t;
typedef struct { int data_bit_width, slot_mode; i2s_std_slot_mask_t slot_mask; } i2s_std_slot_config_t;
typedef struct { int mclk, bclk, ws, dout, din; } i2s_std_gpio_config_t;
typedef struct {
    i2s_std_clk_config_t clk_cfg;
    i2s_std_slot_config_t slot_cfg;
    i2s_std_gpio_config_t gpio_cfg;
} i2s_std_config_t;
typedef struct { size_t size; } i2s_event_data_t;
typedef bool (*i2s_isr_callback_t)(i2s_chan_handle_t, i2s_event_data_t *, void *);
typedef struct { i2s_isr_callback_t on_recv, on_recv_q_ovf, on_sent, on_send_q_ovf; } i2s_event_callbacks_t;
enum { I2S_NUM_AUTO = -1, I2S_ROLE_MASTER = 0, I2S_GPIO_UNUSED = -1 };
enum { I2S_DATA_BIT_WIDTH_32BIT = 32, I2S_SLOT_MODE_MONO = 1 };
#define I2S_CHANNEL_DEFAULT_CONFIG(port, role) {6, 240}
#define I2S_STD_CLK_DEFAULT_CONFIG(rate) {rate}
#define I2S_STD_PHILIPS_SLOT_DEFAULT_CONFIG(bits, mode) {bits, mode, I2S_STD_SLOT_LEFT}
int i2s_new_channel(const i2s_chan_config_t *, i2s_chan_handle_t *tx, i2s_chan_handle_t *rx);
int i2s_channel_init_std_mode(i2s_chan_handle_t, const i2s_std_config_t *);
int i2s_channel_register_event_callback(i2s_chan_handle_t, const i2s_event_callbacks_t *, void *);
int i2s_channel_enable(i2s_chan_handle_t);
int i2s_channel_read(i2s_chan_handle_t, void *to, size_t size, size_t *got, uint32_t timeout);
