#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include <freertos/FreeRTOS.h>
#include <freertos/task.h>

#include "crydistill/crydistill.h"
#include "esphome/components/binary_sensor/binary_sensor.h"
#include "esphome/components/microphone/microphone_source.h"
#include "esphome/components/sensor/sensor.h"
#include "esphome/core/component.h"
#include "esphome/core/defines.h"
#include "esphome/core/helpers.h"
#ifdef USE_OTA_STATE_LISTENER
#include "esphome/components/ota/ota_backend.h"
#endif

namespace esphome::cry_listener {

/// What a number may set.
enum class Setting : uint8_t { THRESHOLD, VOTES, OF_WINDOWS, HOLD };

/// As its number shows it; the hold time in seconds.
float get_setting(const crydistill_settings &settings, Setting setting);

/// Hears of all changes of the settings, in the main loop.
class SettingsObserver {
 public:
  virtual void on_settings(const crydistill_settings &settings) = 0;
};

/// Listens to a microphone and says whether a baby cries.
///
/// The microphone's task only copies samples into a ring. A task of its own takes them out and runs
/// the detector, a slice of a network at a time; the main loop publishes what it has found. All calls
/// about the C library's listener come from that task.
class CryListener : public Component
#ifdef USE_OTA_STATE_LISTENER
    ,
                    public ota::OTAGlobalStateListener
#endif
{
 public:
  /// `arena` is this listener's alone, of as many bytes as the student's header says.
  CryListener(const crydistill_model &student, const crydistill_settings &settings, int8_t *arena,
              size_t arena_bytes)
      : student_(student), settings_(settings), arena_(arena), arena_bytes_(arena_bytes) {}

  void setup() override;
  void loop() override;
  void dump_config() override;
  float get_setup_priority() const override { return setup_priority::AFTER_CONNECTION; }

  void set_microphone_source(microphone::MicrophoneSource *source) { this->source_ = source; }
  void set_threshold(float threshold) { this->settings_.threshold = threshold; }
  void set_votes(uint8_t n, uint8_t m) {
    this->settings_.n = n;
    this->settings_.m = m;
  }
  void set_hold(uint32_t milliseconds) { this->settings_.hold_ms = milliseconds; }
  void set_crying(binary_sensor::BinarySensor *crying) { this->crying_sensor_ = crying; }
  void set_score(sensor::Sensor *score) { this->score_sensor_ = score; }
  /// In the order of the options of a select. `preset` is the number of the one it starts with.
  void set_presets(std::vector<const crydistill_settings *> presets, size_t preset) {
    this->presets_ = std::move(presets);
    this->preset_ = preset;
  }
  void add_observer(SettingsObserver *observer) { this->observers_.push_back(observer); }

  /// The preset that was chosen last, by its position.
  size_t preset() const { return this->preset_; }
  /// Use a preset from the next window on.
  void use_preset(size_t index);
  /// Change one setting, from the next window on.
  void use_setting(Setting setting, float value);

#ifdef USE_OTA_STATE_LISTENER
  void on_ota_global_state(ota::OTAState state, float progress, uint8_t error,
                           ota::OTAComponent *component) override;
#endif

 protected:
  void hear_(const std::vector<uint8_t> &data);
  void listen_();
  void take_settings_();
  void use_(const crydistill_settings &settings);
  static void task_(void *self) { static_cast<CryListener *>(self)->listen_(); }
  static void on_window_(void *self, const struct crydistill_window *window);

  static constexpr uint32_t SAMPLES_PER_SECOND = CRYDISTILL_SAMPLE_RATE;
  // The task must wait for others, but never for a network: a quarter of a second of audio.
  static constexpr uint32_t RING_SAMPLES = SAMPLES_PER_SECOND / 4;

  const crydistill_model &student_;
  crydistill_settings settings_;
  int8_t *arena_;
  size_t arena_bytes_;
  struct crydistill ear_ {};
  struct crydistill_ring ring_ {};
  int16_t samples_[RING_SAMPLES];
  int8_t backlog_[CRYDISTILL_BACKLOG_BYTES];
  microphone::MicrophoneSource *source_{nullptr};
  binary_sensor::BinarySensor *crying_sensor_{nullptr};
  sensor::Sensor *score_sensor_{nullptr};
  TaskHandle_t task_handle_{nullptr};

  std::vector<const crydistill_settings *> presets_;
  size_t preset_{0};
  std::vector<SettingsObserver *> observers_;

  // The settings that the task is to use next, which the main loop writes.
  Mutex mutex_;
  crydistill_settings next_settings_{};
  std::atomic<bool> has_next_settings_{false};

  // Written by the task, read by the loop. windows_ is written last.
  std::atomic<uint32_t> windows_{0};
  std::atomic<float> score_{0.0f};
  std::atomic<bool> crying_{false};

  uint32_t published_windows_{0};
  uint32_t reported_lost_{0};
};

}  // namespace esphome::cry_listener
