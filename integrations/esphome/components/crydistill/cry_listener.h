#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include <freertos/FreeRTOS.h>
#include <freertos/stream_buffer.h>
#include <freertos/task.h>

#include "crydistill/crydistill.h"
#include "esphome/components/binary_sensor/binary_sensor.h"
#include "esphome/components/microphone/microphone_source.h"
#include "esphome/components/sensor/sensor.h"
#include "esphome/core/component.h"

namespace esphome::cry_listener {

/// Listens to a microphone and says whether a baby cries.
///
/// The microphone's callback only copies samples into a buffer. A task of its own takes them out
/// and runs the detector, which needs up to a few hundred milliseconds a window with plain C
/// kernels; the main loop publishes what the task has found.
class CryListener : public Component {
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

 protected:
  void hear_(const std::vector<uint8_t> &data);
  void listen_();
  static void task_(void *self) { static_cast<CryListener *>(self)->listen_(); }
  static void on_window_(void *self, const struct crydistill_window *window);

  // A window may take most of the 480 ms until the next one; a second of audio bridges that.
  static constexpr size_t BYTES_PER_SECOND = 2 * CRYDISTILL_SAMPLE_RATE;
  static constexpr size_t BLOCK_SAMPLES = 512;

  const crydistill_model &student_;
  crydistill_settings settings_;
  int8_t *arena_;
  size_t arena_bytes_;
  struct crydistill ear_ {};
  int16_t block_[BLOCK_SAMPLES];
  microphone::MicrophoneSource *source_{nullptr};
  binary_sensor::BinarySensor *crying_sensor_{nullptr};
  sensor::Sensor *score_sensor_{nullptr};
  StreamBufferHandle_t samples_{nullptr};

  // Written by the task, read by the loop. windows_ is written last.
  std::atomic<uint32_t> windows_{0};
  std::atomic<float> score_{0.0f};
  std::atomic<bool> crying_{false};
  // Written by the microphone's callback.
  std::atomic<uint32_t> lost_bytes_{0};
  // Written by both: what was lost behind the samples in the buffer. The task resets it to 0.
  std::atomic<uint32_t> gap_bytes_{0};

  uint32_t published_windows_{0};
  uint32_t reported_lost_bytes_{0};
};

}  // namespace esphome::cry_listener
