#include "cry_controls.h"

namespace esphome::cry_listener {

#ifdef USE_NUMBER
void SettingNumber::on_settings(const crydistill_settings &settings) {
  this->publish_state(get_setting(settings, this->setting_));
}

void SettingNumber::control(float value) { this->parent_->use_setting(this->setting_, value); }
#endif

#ifdef USE_SELECT
void PresetSelect::on_settings(const crydistill_settings &) {
  this->publish_state(this->parent_->preset());
}
#endif

}  // namespace esphome::cry_listener
