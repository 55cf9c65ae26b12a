#pragma once
#include <cstddef>
#include <cstdint>
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
struct TfLiteTensor {
    union { int8_t *int8; float *f; } data;
    size_t bytes;
};
namespace tflite {
struct Model;
struct MicroOpResolver {};
class MicroInterpreter {
  public:
    MicroInterpreter(const Model *, const MicroOpResolver &, uint8_t *arena, size_t bytes);
    TfLiteStatus AllocateTensors();
    TfLiteStatus Invoke();
    TfLiteTensor *input(size_t);
    TfLiteTensor *output(size_t);
};
}  // namespace tflite
