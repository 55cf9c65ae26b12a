"""NumPy's `.npz` files from elsewhere, which may be anything."""

import zipfile
import zlib

NOT_NPZ = (
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What `np.load`, and reading its arrays, raises of a file that is damaged or of another kind.

To be caught around nothing else: a `.npy` is an array, which cannot be entered (TypeError), and a
flipped bit may say that a member is encrypted (RuntimeError).
"""
