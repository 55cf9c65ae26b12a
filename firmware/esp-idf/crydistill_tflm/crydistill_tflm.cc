#include "crydistill_tflm.h"

#include <new>

#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

using Resolver = tflite::MicroMutableOpResolver<CRYDISTILL_TFLM_OPERATORS>;

alignas(tflite::MicroInterpreter) char interpreter_memory[sizeof(tflite::MicroInterpreter)];
tflite::MicroInterpreter *interpreter;
crydistill_model tflm_model;

const int8_t *run(const crydistill_kernels *, const int8_t *patch, int8_t *)
{
    int8_t *input = interpreter->input(0)->data.int8;
    for (int i = 0; i < CRYDISTILL_PATCH_SIZE; i++) {
        input[i] = patch[i];
    }
    // It fails only for operators that crydistill_tflm_init has already prepared.
    interpreter->Invoke();
    return interpreter->output(0)->data.int8;
}

}  // namespace

const crydistill_model *crydistill_tflm_init(const crydistill_model *model, int8_t *arena)
{
    static Resolver resolver;
    if (interpreter != nullptr || !CRYDISTILL_TFLM_ADD_OPERATORS(resolver)) {
        return nullptr;
    }
    interpreter = new (interpreter_memory)
        tflite::MicroInterpreter(tflite::GetModel(crydistill_tflite), resolver,
                                 reinterpret_cast<uint8_t *>(arena), CRYDISTILL_TFLM_ARENA_BYTES);
    if (interpreter->AllocateTensors() != kTfLiteOk ||
        interpreter->input(0)->bytes != CRYDISTILL_PATCH_SIZE) {
        return nullptr;
    }
    tflm_model = *model;
    tflm_model.run = run;
    tflm_model.arena_bytes = CRYDISTILL_TFLM_ARENA_BYTES;
    return &tflm_model;
}
