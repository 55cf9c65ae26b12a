/* Plays a file of 16-bit samples to the component as ESPHome would, faster than real time.
 * Arguments: file, "slow" to let the listener keep up or "flood" to overrun it. */
#include <cstdlib>
#include <cstring>

#include "cry_listener.h"
#include "crydistill/crydistill_model.h"

using namespace esphome;

static microphone::MicrophoneSource source;
static binary_sensor::BinarySensor crying;
static sensor::Sensor score;

CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_ARENA_BYTES];

static void wait_until_heard(StreamBufferHandle_t samples) {
  for (;;) {
    std::this_thread::yield();
    std::lock_guard<std::mutex> lock(samples->mutex);
    if (samples->waiting && samples->bytes.empty()) {
      return;
    }
  }
}

class Listener : public cry_listener::CryListener {
 public:
  using CryListener::CryListener;
  void wait() { wait_until_heard(this->samples_); }
  unsigned windows() { return this->windows_; }
};

int main(int argc, char **argv) {
  auto *listener =
      new Listener(crydistill_student, crydistill_preset_balanced, arena, sizeof arena);
  listener->set_microphone_source(&source);
  listener->set_crying(&crying);
  listener->set_score(&score);
  if (argc > 3) {
    listener->set_votes(9, 5);  // impossible
  }
  listener->setup();
  listener->dump_config();
  if (listener->failed || !source.started) {
    printf("failed\n");
    fflush(stdout);
    std::_Exit(0);
  }
  FILE *file = fopen(argv[1], "rb");
  const bool slow = strcmp(argv[2], "slow") == 0;
  std::vector<uint8_t> data(slow ? 1024 : 1 << 18);
  for (size_t n; (n = fread(data.data(), 1, data.size(), file)) > 0;) {
    source.callback(std::vector<uint8_t>(data.begin(), data.begin() + static_cast<long>(n)));
    if (slow) {
      listener->wait();
    }
    listener->loop();
  }
  listener->wait();
  listener->loop();
  printf("%u windows\n", listener->windows());
  fflush(stdout);
  std::_Exit(0);
}
