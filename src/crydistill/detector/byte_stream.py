"""Read bytes from a pipe as they arrive, blocking or not."""

import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

from crydistill.errors import AudioError

READ_BYTES = 65_536

RAW_PIPE = "arecord -t raw -f S16_LE -r 16000 -c 1 | crydistill listen -"
"""What to type to listen to a sound card by a pipe."""

_EMPTY_PIPE_SECONDS = 0.02


def decoding_pipe(source: str = "-") -> str:
    """What to type to listen to something that ffmpeg can decode, by a pipe."""
    return f"ffmpeg -i {source} -f s16le -ar 16000 -ac 1 - | crydistill listen -"


class ByteStream:
    """Bytes of a binary stream, such as standard input, in the sizes in which they arrive.

    A non-blocking pipe that holds nothing yet is waited for; only its end is the end.

    Raises
    ------
    AudioError
        from every method, if the stream cannot be read.
    """

    def __init__(self, stream: BinaryIO) -> None:
        # A buffered reader cannot tell a non-blocking pipe that is empty from one that has ended,
        # and at exit it must not be locked by a thread that waits. Its raw file is and does not.
        stream = getattr(stream, "raw", stream)
        # Where there is a `read1`, `read` waits until all bytes are there.
        self._read = getattr(stream, "read1", stream.read)
        self._ahead = b""

    def some(self, most: int = READ_BYTES) -> bytes:
        """Return the next bytes, at least one and at most `most`; none at the end."""
        data = self._ahead or self._arrived(most)
        self._ahead = data[most:]
        return data[:most]

    def peek(self, count: int) -> bytes:
        """Return the next `count` bytes, fewer at the end, without taking them."""
        while len(self._ahead) < count and (data := self._arrived(READ_BYTES)):
            self._ahead += data
        return self._ahead[:count]

    def exactly(self, count: int) -> bytes:
        """Take the next `count` bytes; fewer at the end."""
        taken = self.peek(count)
        self._ahead = self._ahead[count:]
        return taken

    def skip(self, count: int) -> None:
        """Take the next `count` bytes, or as many as there are, and forget them."""
        while count and (data := self.some(min(count, READ_BYTES))):
            count -= len(data)

    def whole(
        self, size: int, say: Callable[[str], None], limit: int | None = None
    ) -> Iterator[bytes]:
        """Yield the next bytes in multiples of `size`, until the end or `limit` bytes.

        Parameters
        ----------
        say : called with a message if bytes are left at the end that do not make up `size`
        """
        rest, left = b"", limit
        while left != 0 and (data := self.some(min(READ_BYTES, left or READ_BYTES))):
            left = None if left is None else left - len(data)
            data = rest + data
            complete = len(data) // size * size
            rest = data[complete:]
            if complete:
                yield data[:complete]
        if rest:
            say(
                f"standard input ended with {len(rest)} of the {size} bytes of a sample, which "
                f"were left out; is it really PCM of {size} bytes per sample?"
            )

    def _arrived(self, most: int) -> bytes:
        while True:
            try:
                data: bytes | None = self._read(most)
            except BlockingIOError:
                data = None
            except (OSError, ValueError) as error:  # ValueError: it is closed
                reason = getattr(error, "strerror", None) or error
                raise AudioError(
                    f"standard input cannot be read ({reason}); pipe sound into it"
                ) from error
            if data is not None:
                return data
            time.sleep(_EMPTY_PIPE_SECONDS)
