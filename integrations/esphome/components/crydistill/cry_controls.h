#pragma once

#include "cry_listener.h"
#include "esphome/core/defines.h"
#include "esphome/core/helpers.h"
#ifdef USE_NUMBER
#include "esphome/components/number/number.h"
#endif
#ifdef USE_SELECT
#include "esphome/components/select/select.h"
#endif

namespace esphome::cry_listener {

#ifdef USE_NUMBER
/// One of the listener's settings. What is set holds from the next window on; what the settings do not
/// allow is refused, and the number goes back.
class SettingNumber : public number::Number, public SettingsObserver, public Parented<CryListener> {
 public:
  explicit SettingNumber(Setting setting) : setting_(setting) {}
  void on_settings(const crydistill_settings &settings) override;

 protected:
  void control(float value) override;

  Setting setting_;
};
#endif

#ifdef USE_SELECT
/// The student's presets, by the position of their names. Its state is the preset that was chosen
/// last; numbers may have changed single settings since.
class PresetSelect : public select::Select, public SettingsObserver, public Parented<CryListener> {
 public:
  void on_settings(const crydistill_settings &settings) override;

 protected:
  void control(size_t index) override { this->parent_->use_preset(index); }
};
#endif

}  // namespace esphome::cry_listener
