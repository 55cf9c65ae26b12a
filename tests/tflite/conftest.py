from tests.student_fixtures import (  # noqa: F401 - fixtures
    memory_model,
    memory_tflite,
    patches,
    reference_model,
    reference_tflite,
    residual_model,
    residual_tflite,
    student_dir,
)
