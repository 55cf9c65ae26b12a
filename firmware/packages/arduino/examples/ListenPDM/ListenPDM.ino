// Lights the LED while a baby cries, on a board with a PDM microphone of its own: Nano 33 BLE Sense,
// Nano RP2040 Connect, Nicla, XIAO BLE Sense.
#include <PDM.h>
#include <crydistill_listener.h>

static CryListener listener;

// In the interrupt: no printing here.
static void onSound()
{
    static int16_t pcm[256];
    while (PDM.available() > 0) {
        const int bytes = PDM.read(pcm, sizeof pcm);
        if (bytes <= 0) {
            break;
        }
        listener.write(pcm, bytes / sizeof *pcm);
    }
}

static void onChange(bool crying)
{
    Serial.println(crying ? "a baby cries" : "it is quiet again");
    digitalWrite(LED_BUILTIN, crying ? HIGH : LOW);
}

void setup()
{
    Serial.begin(115200);
    pinMode(LED_BUILTIN, OUTPUT);
    const char *problem = listener.begin(onChange);
    PDM.onReceive(onSound);
    if (problem == nullptr && !PDM.begin(1, CRYDISTILL_SAMPLE_RATE)) {
        problem = "the microphone does not start";
    }
    // Again and again, for a monitor that is opened late.
    while (problem != nullptr) {
        Serial.println(problem);
        delay(2000);
    }
}

void loop()
{
    listener.update();
}
