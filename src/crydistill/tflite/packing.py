"""Serialize a `.tflite` from the schema's objects."""

from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from crydistill.tflite.file import ALIGNMENT, IDENTIFIER


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A buffer aligned to 16 bytes."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 - the schema's own name
        if self.data is not None:
            builder.Prep(ALIGNMENT, len(self.data))
        packed: int = super().Pack(builder)
        return packed


def packed(model: Any) -> bytes:
    """Serialize a `schema.ModelT` with each constant aligned to 16 bytes.

    Deterministic: the same model gives the same bytes. Replaces the model's buffers.
    """
    model.buffers = [_AlignedBuffer(data=buffer.data) for buffer in model.buffers]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())
