#include "crydistill_tflm.h"

#include <cstring>
#include <new>

#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

using Resolver = tflite::MicroMutableOpResolver<CRYDISTILL_TFLM_OPERATORS>;

alignas(tflite::MicroInterpreter) char interpreter_memory[sizeof(tflite::MicroInterpreter)];
tflite::MicroInterpreter *interpreter;
crydistill_model tflm_model;

// The arena starts with the student's memory, if it has one, as the library wants it. The interpreter
// has the rest, and may use its inputs' bytes for other tensors once they have been read.
const int8_t *run(const crydistill_kernels *, const int8_t *patch, int8_t *arena)
{
    std::memcpy(interpreter->input(0)->data.int8, patch, CRYDISTILL_PATCH_SIZE);
    if (tflm_model.memory_bytes > 0) {
        std::memcpy(interpreter->input(1)->data.int8, arena, tflm_model.memory_bytes);
    }
    // It fails only for operators that crydistill_tflm_init has already prepared.
    interpreter->Invoke();
    if (tflm_model.memory_bytes > 0) {
        std::memcpy(arena, interpreter->output(1)->data.int8, tflm_model.memory_bytes);
    }
    return interpreter->output(0)->data.int8;
}

bool takes(const crydistill_model *model)
{
    return interpreter->input(0)->bytes == CRYDISTILL_PATCH_SIZE &&
           (model->memory_bytes == 0 || (interpreter->input(1)->bytes == model->memory_bytes &&
                                         interpreter->output(1)->bytes == model->memory_bytes));
}

}  // namespace

const crydistill_model *crydistill_tflm_init(const crydistill_model *model, int8_t *arena)
{
    static Resolver resolver;
    if (interpreter != nullptr || !CRYDISTILL_TFLM_ADD_OPERATORS(resolver)) {
        return nullptr;
    }
    constexpr size_t alignment = 16;
    const size_t kept = (model->memory_bytes + alignment - 1) / alignment * alignment;
    interpreter = new (interpreter_memory) tflite::MicroInterpreter(
        tflite::GetModel(crydistill_tflite), resolver, reinterpret_cast<uint8_t *>(arena) + kept,
        CRYDISTILL_TFLM_ARENA_BYTES - kept);
    if (interpreter->AllocateTensors() != kTfLiteOk || !takes(model)) {
        return nullptr;
    }
    tflm_model = *model;
    tflm_model.run = run;
    tflm_model.call_count = 0;
    tflm_model.arena_bytes = CRYDISTILL_TFLM_ARENA_BYTES;
    return &tflm_model;
}
