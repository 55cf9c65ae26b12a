#include "cry_listener.h"

#include <cinttypes>
#include <cmath>

#include "esphome/core/log.h"

namespace esphome::cry_listener {

static const char *const TAG = "crydistill";

static const uint32_t STACK_BYTES = 6144;
// That of ESPHome's main loop: on a chip with one core the two take turns, tick by tick, so that a
// network at work starves neither the loop nor, through it, the connection.
static const UBaseType_t TASK_PRIORITY = 1;
// A microphone that brings nothing for so long has stopped.
static const uint32_t SILENCE_MS = 500;

float get_setting(const crydistill_settings &settings, Setting setting) {
  switch (setting) {
    case Setting::THRESHOLD:
      return settings.threshold;
    case Setting::VOTES:
      return settings.n;
    case Setting::OF_WINDOWS:
      return settings.m;
    case Setting::HOLD:
      return static_cast<float>(settings.hold_ms) / 1000.0f;
  }
  return NAN;
}

static crydistill_settings changed(crydistill_settings settings, Setting setting, float value) {
  switch (setting) {
    case Setting::THRESHOLD:
      settings.threshold = value;
      break;
    case Setting::VOTES:
      settings.n = static_cast<uint8_t>(value);
      break;
    case Setting::OF_WINDOWS:
      settings.m = static_cast<uint8_t>(value);
      break;
    case Setting::HOLD:
      settings.hold_ms = static_cast<uint32_t>(std::lround(value * 1000.0f));
      break;
  }
  return settings;
}

void CryListener::setup() {
  crydistill_config config{};
  config.model = &this->student_;
  config.settings = &this->settings_;
  config.arena = this->arena_;
  config.arena_bytes = this->arena_bytes_;
  config.listener = on_window_;
  config.context = this;
  config.backlog = this->backlog_;
  crydistill_error error = crydistill_init(&this->ear_, &config);
  if (error == CRYDISTILL_OK) {
    error = crydistill_ring_init(&this->ring_, this->samples_, RING_SAMPLES);
  }
  if (error != CRYDISTILL_OK) {
    ESP_LOGE(TAG, "%s", crydistill_error_text(error));
    this->mark_failed();
    return;
  }
  if (xTaskCreate(task_, "crydistill", STACK_BYTES, this, TASK_PRIORITY, &this->task_handle_) !=
      pdPASS) {
    ESP_LOGE(TAG, "Not enough memory for the listener");
    this->mark_failed();
    return;
  }
  this->source_->add_data_callback([this](const std::vector<uint8_t> &data) { this->hear_(data); });
  this->source_->start();
#ifdef USE_OTA_STATE_LISTENER
  ota::get_global_ota_callback()->add_global_state_listener(this);
#endif
  if (this->crying_sensor_ != nullptr) {
    this->crying_sensor_->publish_initial_state(false);
  }
  for (auto *observer : this->observers_) {
    observer->on_settings(this->settings_);
  }
}

// In the microphone's task, the ring's writer. What does not fit is a gap, which the ring counts.
void CryListener::hear_(const std::vector<uint8_t> &data) {
  const auto *pcm = reinterpret_cast<const int16_t *>(data.data());
  crydistill_ring_write(&this->ring_, pcm, data.size() / sizeof(int16_t));
  xTaskNotifyGive(this->task_handle_);
}

// Where the microphone has stopped, for an update or because somebody muted it, time goes on in gaps:
// no window spans them, and an alert ends after its hold time.
void CryListener::listen_() {
  const uint32_t silence = SAMPLES_PER_SECOND / 1000 * SILENCE_MS;
  uint32_t rested = 0;
  for (;;) {
    bool idle;
    this->take_settings_();
    crydistill_step(&this->ear_, &this->ring_, &idle);
    if (idle && ulTaskNotifyTake(pdTRUE, pdMS_TO_TICKS(SILENCE_MS)) == 0) {
      crydistill_gap(&this->ear_, silence);
    }
    // On a chip that is too slow this task is never idle, but those of lower priority have their turn.
    const uint32_t windows = this->windows_;
    if (windows != rested) {
      rested = windows;
      vTaskDelay(1);
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

void CryListener::take_settings_() {
  if (!this->has_next_settings_) {
    return;
  }
  LockGuard lock(this->mutex_);
  this->has_next_settings_ = false;
  const crydistill_error error = crydistill_set_settings(&this->ear_, &this->next_settings_);
  if (error != CRYDISTILL_OK) {
    ESP_LOGW(TAG, "%s", crydistill_error_text(error));
  }
}

// Settings that are out of range are named here, in the loop, and none of them reaches the task.
void CryListener::use_(const crydistill_settings &settings) {
  crydistill_detector trial;
  const crydistill_error error = crydistill_detector_init(&trial, &settings);
  if (error != CRYDISTILL_OK) {
    ESP_LOGW(TAG, "%s", crydistill_error_text(error));
  } else {
    this->settings_ = settings;
    LockGuard lock(this->mutex_);
    this->next_settings_ = settings;
    this->has_next_settings_ = true;
  }
  for (auto *observer : this->observers_) {
    observer->on_settings(this->settings_);
  }
}

void CryListener::use_preset(size_t index) {
  if (index < this->presets_.size()) {
    this->preset_ = index;
    this->use_(*this->presets_[index]);
  }
}

void CryListener::use_setting(Setting setting, float value) {
  this->use_(changed(this->settings_, setting, value));
}

#ifdef USE_OTA_STATE_LISTENER
// An update needs the processor and the flash, whose cache is off while it writes.
void CryListener::on_ota_global_state(ota::OTAState state, float, uint8_t, ota::OTAComponent *) {
  if (state == ota::OTA_STARTED) {
    this->source_->stop();
  } else if (state == ota::OTA_ERROR || state == ota::OTA_ABORT) {
    this->source_->start();
  }
}
#endif

void CryListener::loop() {
  const uint32_t lost = crydistill_ring_lost(&this->ring_);
  if (lost - this->reported_lost_ >= SAMPLES_PER_SECOND) {
    const uint32_t milliseconds = (lost - this->reported_lost_) / (SAMPLES_PER_SECOND / 1000);
    ESP_LOGW(TAG, "Too slow: %" PRIu32 " ms of audio lost", milliseconds);
    this->reported_lost_ = lost;
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
