import numpy as np
from ai_edge_litert import schema_py_generated as schema

from crydistill.tflite.file import ALIGNMENT
from crydistill.tflite.packing import packed


def test_constants_are_aligned_and_stay_what_they_were(residual_tflite: bytes) -> None:
    model = schema.ModelT.InitFromPackedBuf(residual_tflite, 0)
    before = [None if x.data is None else bytes(x.data) for x in model.buffers]
    written = packed(model)
    assert written[4:8] == b"TFL3"
    read = schema.Model.GetRootAs(written)
    data = [read.Buffers(i).DataAsNumpy() for i in range(read.BuffersLength())]
    start = np.frombuffer(written, dtype=np.uint8).__array_interface__["data"][0]
    places = [x.__array_interface__["data"][0] - start for x in data if not np.isscalar(x)]
    assert len(places) > 5
    assert all(place % ALIGNMENT == 0 for place in places)
    assert [None if np.isscalar(x) else x.tobytes() for x in data] == [x or None for x in before]


def test_writing_what_was_written_changes_nothing(residual_tflite: bytes) -> None:
    assert packed(schema.ModelT.InitFromPackedBuf(residual_tflite, 0)) == residual_tflite
