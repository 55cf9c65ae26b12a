#pragma once
#include "tensorflow/lite/micro/micro_interpreter.h"
namespace tflite {
template <unsigned operators>
class MicroMutableOpResolver : public MicroOpResolver {
  public:
    TfLiteStatus AddAdd();
    TfLiteStatus AddAveragePool2D();
    TfLiteStatus AddConcatenation();
    TfLiteStatus AddConv2D();
    TfLiteStatus AddDepthwiseConv2D();
    TfLiteStatus AddFullyConnected();
    TfLiteStatus AddMean();
    TfLiteStatus AddPad();
    TfLiteStatus AddReshape();
    TfLiteStatus AddStridedSlice();
};
}  // namespace tflite
