"""Writing a `.tflite` from the schema's objects."""

from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from crydistill.tflite.file import ALIGNMENT, IDENTIFIER


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose bytes begin at a multiple of 16."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 - the schema's own name
        if self.data is not None:
            builder.Prep(ALIGNMENT, len(self.data))
        packed: int = super().Pack(builder)
        return packed


def packed(model: Any) -> bytes:
    """Bytes of a `schema.ModelT`, each constant at a multiple of 16 bytes.

    The same model gives the same bytes. Its buffers are replaced.
    """
    model.buffers = [_AlignedBuffer(data=buffer.data) for buffer in model.buffers]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())
