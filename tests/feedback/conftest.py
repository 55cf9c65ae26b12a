from tests.student_fixtures import (  # noqa: F401 - fixtures
    patches,
    reference_model,
    reference_tflite,
    student_dir,
)
