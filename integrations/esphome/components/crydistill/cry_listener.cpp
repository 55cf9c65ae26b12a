#include "cry_listener.h"

#include <cinttypes>

#include "esphome/core/log.h"

namespace esphome::cry_listener {

static const char *const TAG = "crydistill";

static const uint32_t STACK_BYTES = 6144;
static const UBaseType_t TASK_PRIORITY = 3;
// How soon the task notices a gap after which no audio has come.
static const TickType_t PATIENCE = pdMS_TO_TICKS(100);

void CryListener::setup() {
  crydistill_config config{};
  config.model = &this->student_;
  config.settings = &this->settings_;
  config.arena = this->arena_;
  config.arena_bytes = this->arena_bytes_;
  config.listener = on_window_;
  config.context = this;
  const crydistill_error error = crydistill_init(&this->ear_, &config);
  if (error != CRYDISTILL_OK) {
    ESP_LOGE(TAG, "%s", crydistill_error_text(error));
    this->mark_failed();
    return;
  }
  this->samples_ = xStreamBufferCreate(BYTES_PER_SECOND, sizeof(int16_t));
  if (this->samples_ == nullptr ||
      xTaskCreate(task_, "crydistill", STACK_BYTES, this, TASK_PRIORITY, nullptr) != pdPASS) {
    ESP_LOGE(TAG, "Not enough memory for the listener");
    this->mark_failed();
    return;
  }
  this->source_->add_data_callback([this](const std::vector<uint8_t> &data) { this->hear_(data); });
  this->source_->start();
  if (this->crying_sensor_ != nullptr) {
    this->crying_sensor_->publish_initial_state(false);
  }
}

// The stream buffer has one writer (this, in the microphone's task) and one reader (listen_). What
// does not fit is lost, and so is all that follows until the reader has emptied the buffer and knows
// of the gap: one long gap costs the listener less than many short ones.
void CryListener::hear_(const std::vector<uint8_t> &data) {
  const size_t room = this->gap_bytes_ > 0 ? 0 : xStreamBufferSpacesAvailable(this->samples_);
  // Whole samples only, so that a full buffer never shifts the stream by a byte.
  const size_t fits = (data.size() < room ? data.size() : room) & ~static_cast<size_t>(1);
  const size_t sent = xStreamBufferSend(this->samples_, data.data(), fits, 0);
  this->gap_bytes_ += data.size() - sent;
  this->lost_bytes_ += data.size() - sent;
}

void CryListener::listen_() {
  for (;;) {
    const size_t bytes =
        xStreamBufferReceive(this->samples_, this->block_, sizeof this->block_, PATIENCE);
    crydistill_push(&this->ear_, this->block_, bytes / sizeof(int16_t));
    if (this->gap_bytes_ > 0 && xStreamBufferIsEmpty(this->samples_) == pdTRUE) {
      const uint32_t lost = this->gap_bytes_.exchange(0);
      crydistill_gap(&this->ear_, lost / sizeof(int16_t));
    }
  }
}

void CryListener::on_window_(void *self, const struct crydistill_window *window) {
  auto *listener = static_cast<CryListener *>(self);
  listener->score_ = window->score;
  if (window->event != CRYDISTILL_NONE) {
    listener->crying_ = window->event == CRYDISTILL_ON;
  }
  listener->windows_ = window->index + 1;
}

void CryListener::loop() {
  const uint32_t lost = this->lost_bytes_;
  if (lost - this->reported_lost_bytes_ >= BYTES_PER_SECOND) {
    const uint32_t milliseconds = (lost - this->reported_lost_bytes_) / (BYTES_PER_SECOND / 1000);
    ESP_LOGW(TAG, "Too slow: %" PRIu32 " ms of audio lost", milliseconds);
    this->reported_lost_bytes_ = lost;
  }
  const uint32_t windows = this->windows_;
  if (windows == this->published_windows_) {
    return;
  }
  this->published_windows_ = windows;
  if (this->score_sensor_ != nullptr) {
    this->score_sensor_->publish_state(this->score_);
  }
  if (this->crying_sensor_ != nullptr) {
    this->crying_sensor_->publish_state(this->crying_);
  }
}

void CryListener::dump_config() {
  ESP_LOGCONFIG(TAG,
                "Cry listener:\n"
                "  Threshold: %g\n"
                "  Votes: %u of %u windows\n"
                "  Hold: %" PRIu32 " ms\n"
                "  Arena: %u bytes",
                this->settings_.threshold, this->settings_.n, this->settings_.m,
                this->settings_.hold_ms, static_cast<unsigned>(this->arena_bytes_));
  LOG_BINARY_SENSOR("  ", "Crying", this->crying_sensor_);
  LOG_SENSOR("  ", "Score", this->score_sensor_);
}

}  // namespace esphome::cry_listener
