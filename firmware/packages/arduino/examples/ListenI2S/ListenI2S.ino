// Lights an LED while a baby cries: an ESP32 (Arduino core 3 or later) with an I2S microphone such as
// INMP441 or ICS-43434, whose L/R pin is connected to ground.
#include <ESP_I2S.h>
#include <crydistill_listener.h>
#include <crydistill_port.h>

static const int CLOCK_PIN = 4, SELECT_PIN = 5, DATA_PIN = 6, LED_PIN = 2;
// In steps of 6 dB: these microphones leave the top bits of a quiet room unused.
static const int GAIN_BITS = 2;

static CryListener listener;
static I2SClass microphone;

// A task of its own, since the driver holds no more than 0.1 s.
static void readMicrophone(void *)
{
    static int32_t raw[240];
    static int16_t pcm[240];
    static struct crydistill_level_meter meter;
    for (;;) {
        const size_t bytes = microphone.readBytes(reinterpret_cast<char *>(raw), sizeof raw);
        const uint32_t n = bytes / sizeof *raw;
        crydistill_amplify(raw, pcm, n, GAIN_BITS, &meter);
        listener.write(pcm, n);
    }
}

static void onChange(bool crying)
{
    Serial.println(crying ? "a baby cries" : "it is quiet again");
    digitalWrite(LED_PIN, crying ? HIGH : LOW);
}

void setup()
{
    Serial.begin(115200);
    pinMode(LED_PIN, OUTPUT);
    const char *problem = listener.begin(onChange);
    microphone.setPins(CLOCK_PIN, SELECT_PIN, -1, DATA_PIN);
    if (problem == nullptr &&
        !microphone.begin(I2S_MODE_STD, CRYDISTILL_SAMPLE_RATE, I2S_DATA_BIT_WIDTH_32BIT,
                          I2S_SLOT_MODE_MONO, I2S_STD_SLOT_LEFT)) {
        problem = "the microphone does not start";
    }
    // Again and again, for a monitor that is opened late.
    while (problem != nullptr) {
        Serial.println(problem);
        delay(2000);
    }
    xTaskCreate(readMicrophone, "microphone", 4096, nullptr, 5, nullptr);
}

void loop()
{
    if (!listener.update()) {
        delay(1); // lets other tasks run
    }
}
