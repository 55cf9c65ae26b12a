/* What the component needs of ESPHome and FreeRTOS, for a host compiler: enough to run it. */
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

typedef unsigned UBaseType_t;
typedef int BaseType_t;
typedef uint32_t TickType_t;
static const BaseType_t pdPASS = 1, pdTRUE = 1, pdFALSE = 0;
#define pdMS_TO_TICKS(milliseconds) (milliseconds)

/* A task: its notifications, and whether it waits for one. Time stands still: it waits in vain only as
 * often as a test asks for. */
struct Task {
  std::mutex mutex;
  std::condition_variable notified;
  uint32_t notifications = 0;
  uint32_t vain = 0;
  bool waiting = false;
};
typedef Task *TaskHandle_t;
inline thread_local Task *this_task;
inline std::atomic<unsigned> rests{0};
inline UBaseType_t priority_of_task;

inline void xTaskNotifyGive(TaskHandle_t task) {
  std::lock_guard<std::mutex> lock(task->mutex);
  task->notifications++;
  task->notified.notify_one();
}

inline uint32_t ulTaskNotifyTake(BaseType_t, TickType_t) {
  Task *task = this_task;
  std::unique_lock<std::mutex> lock(task->mutex);
  task->waiting = true;
  task->notified.wait(lock, [task] { return task->notifications > 0 || task->vain > 0; });
  task->waiting = false;
  const uint32_t taken = task->notifications;
  task->vain -= taken == 0 ? 1 : 0;
  task->notifications = 0;
  return taken;
}

inline void vTaskDelay(TickType_t) { rests++; }

inline BaseType_t xTaskCreate(void (*run)(void *), const char *, uint32_t, void *argument,
                              UBaseType_t priority, TaskHandle_t *handle) {
  auto *task = new Task;
  *handle = task;
  priority_of_task = priority;
  std::thread([run, argument, task] {
    this_task = task;
    run(argument);
  }).detach();
  return pdPASS;
}

inline void log_line(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
}
#define ESP_LOGE(tag, ...) log_line(__VA_ARGS__), (void) tag
#define ESP_LOGW(tag, ...) log_line(__VA_ARGS__), (void) tag
#define ESP_LOGCONFIG(tag, ...) log_line(__VA_ARGS__), (void) tag
#define LOG_BINARY_SENSOR(prefix, name, entity) log_line("%s%s %d", prefix, name, entity != nullptr)
#define LOG_SENSOR(prefix, name, entity) log_line("%s%s %d", prefix, name, entity != nullptr)

namespace esphome {
namespace setup_priority {
static const float AFTER_CONNECTION = 100.0f;
}

using Mutex = std::mutex;
using LockGuard = std::lock_guard<std::mutex>;

template<typename T> class Parented {
 public:
  void set_parent(T *parent) { this->parent_ = parent; }

 protected:
  T *parent_{nullptr};
};

class Component {
 public:
  virtual ~Component() = default;
  virtual void setup() {}
  virtual void loop() {}
  virtual void dump_config() {}
  virtual float get_setup_priority() const { return 0.0f; }
  void mark_failed() { this->failed = true; }
  bool failed = false;
};

namespace binary_sensor {
class BinarySensor {
 public:
  void publish_initial_state(bool state) { this->publish_state(state); }
  void publish_state(bool state) {
    if (state != this->state) {
      printf("crying %d\n", state);
    }
    this->state = state;
  }
  bool state = false;
};
}  // namespace binary_sensor

namespace sensor {
class Sensor {
 public:
  void publish_state(float state) { printf("score %.9g\n", static_cast<double>(state)); }
};
}  // namespace sensor

namespace number {
class Number {
 public:
  virtual ~Number() = default;
  void publish_state(float state) { printf("%s %g\n", this->name, static_cast<double>(state)); }
  void set(float value) { this->control(value); }
  const char *name;

 protected:
  virtual void control(float value) = 0;
};
}  // namespace number

namespace select {
class Select {
 public:
  virtual ~Select() = default;
  void publish_state(size_t index) { printf("preset %zu\n", index); }
  void choose(size_t index) { this->control(index); }

 protected:
  virtual void control(size_t index) = 0;
};
}  // namespace select

namespace ota {
enum OTAState { OTA_COMPLETED = 0, OTA_STARTED, OTA_IN_PROGRESS, OTA_ABORT, OTA_ERROR };
class OTAComponent;
class OTAGlobalStateListener {
 public:
  virtual ~OTAGlobalStateListener() = default;
  virtual void on_ota_global_state(OTAState, float, uint8_t, OTAComponent *) = 0;
};
class OTAGlobalCallback {
 public:
  void add_global_state_listener(OTAGlobalStateListener *listener) { this->listener = listener; }
  void notify_ota_state(OTAState state) {
    this->listener->on_ota_global_state(state, 0.0f, 0, nullptr);
  }
  OTAGlobalStateListener *listener{nullptr};
};
inline OTAGlobalCallback *get_global_ota_callback() {
  static OTAGlobalCallback callback;
  return &callback;
}
}  // namespace ota

namespace microphone {
class MicrophoneSource {
 public:
  void add_data_callback(std::function<void(const std::vector<uint8_t> &)> callback) {
    this->callback = callback;
  }
  void start() { this->started = true; }
  void stop() { this->started = false; }
  std::function<void(const std::vector<uint8_t> &)> callback;
  bool started = false;
};
}  // namespace microphone
}  // namespace esphome
