// Runs made-up sound through front end, network and detector, and compares the result with what the
// student gave on the computer that exported it. Needs no microphone.
#include <crydistill_golden.h>
#include <crydistill_model.h>

CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_ARENA_BYTES];
static struct crydistill ear;

void setup()
{
    Serial.begin(115200);
}

void loop()
{
    struct crydistill_config config = {};
    config.model = &crydistill_student;
    config.arena = arena;
    config.arena_bytes = sizeof arena;

    const unsigned long begin = millis();
    const enum crydistill_selftest_result result =
        crydistill_selftest(&ear, &config, &crydistill_golden_vectors);
    Serial.print("self-test ");
    Serial.print(crydistill_selftest_text(result));
    Serial.print(" in ");
    Serial.print(millis() - begin);
    Serial.println(" ms");
    delay(5000);
}
