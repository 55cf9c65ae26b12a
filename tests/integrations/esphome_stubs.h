/* What the component needs of ESPHome and FreeRTOS, for a host compiler: enough to run it. */
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

typedef unsigned UBaseType_t;
typedef int BaseType_t;
typedef uint32_t TickType_t;
static const BaseType_t pdPASS = 1, pdTRUE = 1, pdFALSE = 0;
#define pdMS_TO_TICKS(milliseconds) (milliseconds)

struct Stream {
  std::mutex mutex;
  std::condition_variable filled;
  std::deque<uint8_t> bytes;
  size_t capacity;
  bool waiting = false;
};
typedef Stream *StreamBufferHandle_t;

inline StreamBufferHandle_t xStreamBufferCreate(size_t capacity, size_t) {
  auto *stream = new Stream;
  stream->capacity = capacity;
  return stream;
}

inline size_t xStreamBufferSpacesAvailable(StreamBufferHandle_t stream) {
  std::lock_guard<std::mutex> lock(stream->mutex);
  return stream->capacity - stream->bytes.size();
}

inline size_t xStreamBufferSend(StreamBufferHandle_t stream, const void *data, size_t size,
                                uint32_t) {
  std::lock_guard<std::mutex> lock(stream->mutex);
  const auto *bytes = static_cast<const uint8_t *>(data);
  const size_t room = stream->capacity - stream->bytes.size();
  const size_t sent = size < room ? size : room;
  stream->bytes.insert(stream->bytes.end(), bytes, bytes + sent);
  stream->filled.notify_one();
  return sent;
}

inline BaseType_t xStreamBufferIsEmpty(StreamBufferHandle_t stream) {
  std::lock_guard<std::mutex> lock(stream->mutex);
  return stream->bytes.empty() ? pdTRUE : pdFALSE;
}

inline size_t xStreamBufferReceive(StreamBufferHandle_t stream, void *data, size_t size,
                                   TickType_t milliseconds) {
  std::unique_lock<std::mutex> lock(stream->mutex);
  stream->waiting = true;
  stream->filled.wait_for(lock, std::chrono::milliseconds(milliseconds),
                          [stream] { return !stream->bytes.empty(); });
  stream->waiting = false;
  auto *bytes = static_cast<uint8_t *>(data);
  const size_t taken = size < stream->bytes.size() ? size : stream->bytes.size();
  for (size_t i = 0; i < taken; i++) {
    bytes[i] = stream->bytes.front();
    stream->bytes.pop_front();
  }
  return taken;
}

inline BaseType_t xTaskCreate(void (*task)(void *), const char *, uint32_t, void *argument,
                              UBaseType_t, void *) {
  std::thread(task, argument).detach();
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

namespace microphone {
class MicrophoneSource {
 public:
  void add_data_callback(std::function<void(const std::vector<uint8_t> &)> callback) {
    this->callback = callback;
  }
  void start() { this->started = true; }
  std::function<void(const std::vector<uint8_t> &)> callback;
  bool started = false;
};
}  // namespace microphone
}  // namespace esphome
