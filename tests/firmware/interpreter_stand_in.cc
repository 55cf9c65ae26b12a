// In place of TensorFlow Lite Micro's interpreter: the C engine, with an arena of its own. Like the
// interpreter it leaves anything in its inputs. Prints the result of the self-test on the backend.
#include <cstdio>
#include <cstring>

#include "crydistill_golden.h"
#include "crydistill_model.h"
#include "crydistill_tflm.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

CRYDISTILL_ALIGNED static int8_t engine_arena[CRYDISTILL_ARENA_BYTES];
static int8_t patch[CRYDISTILL_PATCH_SIZE], memory[1024];
static int8_t logits[CRYDISTILL_OUTPUTS], next_memory[sizeof memory];

namespace tflite {

const Model *GetModel(const void *) { return nullptr; }

MicroInterpreter::MicroInterpreter(const Model *, const MicroOpResolver &, uint8_t *arena,
                                   size_t bytes)
{
    std::memset(arena, 0x55, bytes); // its own structures
}

TfLiteStatus MicroInterpreter::AllocateTensors() { return kTfLiteOk; }

TfLiteTensor *MicroInterpreter::input(size_t index)
{
    static TfLiteTensor tensors[2];
    tensors[0] = {{patch}, sizeof patch};
    tensors[1] = {{memory}, crydistill_student.memory_bytes};
    return &tensors[index];
}

TfLiteTensor *MicroInterpreter::output(size_t index)
{
    static TfLiteTensor tensors[2];
    tensors[0] = {{logits}, sizeof logits};
    tensors[1] = {{next_memory}, crydistill_student.memory_bytes};
    return &tensors[index];
}

TfLiteStatus MicroInterpreter::Invoke()
{
    const size_t bytes = crydistill_student.memory_bytes;
    std::memcpy(engine_arena, memory, bytes);
    std::memcpy(logits, crydistill_student.run(crydistill_student.kernels, patch, engine_arena),
                sizeof logits);
    std::memcpy(next_memory, engine_arena, bytes);
    std::memset(engine_arena, 0x55, sizeof engine_arena);
    std::memset(patch, 0x55, sizeof patch);
    std::memset(memory, 0x55, sizeof memory);
    return kTfLiteOk;
}

#define ADDS(name) \
    template <unsigned n> TfLiteStatus MicroMutableOpResolver<n>::Add##name() { return kTfLiteOk; }
ADDS(Add)
ADDS(AveragePool2D)
ADDS(Concatenation)
ADDS(Conv2D)
ADDS(DepthwiseConv2D)
ADDS(FullyConnected)
ADDS(Mean)
ADDS(Pad)
ADDS(Reshape)
ADDS(StridedSlice)
template class MicroMutableOpResolver<CRYDISTILL_TFLM_OPERATORS>;

}  // namespace tflite

int main()
{
    CRYDISTILL_ALIGNED static int8_t arena[CRYDISTILL_TFLM_ARENA_BYTES];
    static struct crydistill ear;
    crydistill_config config = {};
    config.model = crydistill_tflm_init(&crydistill_student, arena);
    config.arena = arena;
    config.arena_bytes = sizeof arena;
    std::puts(crydistill_selftest_text(
        crydistill_selftest(&ear, &config, &crydistill_golden_vectors)));
    return 0;
}
