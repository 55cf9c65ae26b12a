/* Plays a file of 16-bit samples to the component as ESPHome would, faster than real time.
 *
 *     program FILE slow         letting the listener keep up
 *     program FILE flood        overrunning it
 *     program FILE impossible   with settings that there are not
 *     program FILE controls     slowly, with numbers and a select, each set to something in turn
 *     program FILE update       slowly, with an update that fails in the middle */
#include <cstdlib>
#include <cstring>

#include "cry_controls.h"
#include "cry_listener.h"
#include "crydistill/crydistill_model.h"

using namespace esphome;
using cry_listener::PresetSelect;
using cry_listener::Setting;
using cry_listener::SettingNumber;

static microphone::MicrophoneSource source;
static binary_sensor::BinarySensor crying;
static sensor::Sensor score;
static SettingNumber numbers[] = {SettingNumber(Setting::THRESHOLD), SettingNumber(Setting::VOTES),
                                  SettingNumber(Setting::OF_WINDOWS), SettingNumber(Setting::HOLD)};
static PresetSelect preset;

CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_ARENA_BYTES];

class Listener : public cry_listener::CryListener {
 public:
  using CryListener::CryListener;
  /// Until the task waits for samples and has none left.
  void wait() {
    for (;;) {
      std::this_thread::yield();
      std::lock_guard<std::mutex> lock(this->task_handle_->mutex);
      if (this->task_handle_->waiting && this->task_handle_->notifications == 0 &&
          this->task_handle_->vain == 0) {
        return;
      }
    }
  }
  /// The microphone is silent for so many times half a second.
  void be_silent(unsigned times) {
    {
      std::lock_guard<std::mutex> lock(this->task_handle_->mutex);
      this->task_handle_->vain = times;
      this->task_handle_->notified.notify_one();
    }
    this->wait();
  }
  unsigned windows() { return this->windows_; }
};

static void connect_controls(Listener *listener) {
  static const char *const names[] = {"threshold", "votes", "of_windows", "hold"};
  for (size_t i = 0; i < 4; i++) {
    numbers[i].name = names[i];
    numbers[i].set_parent(listener);
    listener->add_observer(&numbers[i]);
  }
  preset.set_parent(listener);
  listener->add_observer(&preset);
  static const crydistill_settings other = {0.25f, 2, 3, 10000};
  listener->set_presets({&crydistill_preset_balanced, &other}, 0);
}

static void use_controls() {
  printf("- lowest threshold, 1 of 1\n");
  numbers[0].set(0.0f);
  numbers[1].set(1.0f);
  numbers[2].set(1.0f);
  numbers[3].set(0.5f);
  printf("- more votes than windows\n");
  numbers[1].set(5.0f);
  printf("- preset\n");
  preset.choose(1);
  preset.choose(9);
  printf("- lowest threshold, 1 of 1\n");
  numbers[0].set(0.0f);
  numbers[1].set(1.0f);
  numbers[2].set(1.0f);
}

static void fail_to_update(Listener *listener) {
  ota::get_global_ota_callback()->notify_ota_state(ota::OTA_STARTED);
  printf("microphone %d\n", source.started);
  listener->be_silent(8);
  ota::get_global_ota_callback()->notify_ota_state(ota::OTA_ERROR);
  printf("microphone %d\n", source.started);
}

int main(int argc, char **argv) {
  auto *listener =
      new Listener(crydistill_student, crydistill_preset_balanced, arena, sizeof arena);
  const char *how = argc > 2 ? argv[2] : "";
  const bool flood = strcmp(how, "flood") == 0;
  listener->set_microphone_source(&source);
  listener->set_crying(&crying);
  listener->set_score(&score);
  if (strcmp(how, "impossible") == 0) {
    listener->set_votes(9, 5);
  }
  if (strcmp(how, "controls") == 0) {
    connect_controls(listener);
  }
  listener->setup();
  listener->dump_config();
  if (listener->failed || !source.started) {
    printf("failed\n");
    fflush(stdout);
    std::_Exit(0);
  }
  printf("priority %u\n", priority_of_task);
  FILE *file = fopen(argv[1], "rb");
  std::vector<uint8_t> data(flood ? 1 << 18 : 1024);
  size_t played = 0;
  for (size_t n; (n = fread(data.data(), 1, data.size(), file)) > 0; played += n) {
    source.callback(std::vector<uint8_t>(data.begin(), data.begin() + static_cast<long>(n)));
    if (!flood) {
      listener->wait();
    }
    listener->loop();
    if (played == 64 * 1024) {
      if (strcmp(how, "controls") == 0) {
        use_controls();
      }
      if (strcmp(how, "update") == 0) {
        fail_to_update(listener);
      }
    }
  }
  listener->wait();
  listener->loop();
  printf("rests %u\n", rests.load());
  printf("%u windows\n", listener->windows());
  fflush(stdout);
  std::_Exit(0);
}
