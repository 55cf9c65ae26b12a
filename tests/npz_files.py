"""Files that are no `.npz`, each in another way, for all who read some."""

import io

import numpy as np


def npy() -> bytes:
    """A single array, which `np.load` opens as well."""
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def damaged_npz() -> list[bytes]:
    """An `.npz` cut off, one with another byte in its data, and one that says it is encrypted."""
    file = io.BytesIO()
    np.savez_compressed(file, format=np.arange(1000), windows=np.arange(1000), about="{}")
    whole = file.getvalue()
    name, listed = whole.index(b"format.npy"), whole.index(b"PK\1\2")
    flipped, encrypted = bytearray(whole), bytearray(whole)
    flipped[name + 60] ^= 0xFF
    encrypted[listed + 8] |= 1
    return [whole[: len(whole) // 2], bytes(flipped), bytes(encrypted)]
