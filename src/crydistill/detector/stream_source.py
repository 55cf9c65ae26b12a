"""Listen to a camera or another stream from the network."""

from collections.abc import Callable, Generator
from contextlib import closing

from crydistill.audio.ffmpeg_live import LiveSound, LiveSoundError
from crydistill.audio.mel import Samples
from crydistill.audio.plausibility import Downmix
from crydistill.detector.sources import BLOCK_SECONDS, Converter, Dropped, SourceLost
from crydistill.detector.stream_address import StreamAddress


class StreamSource:
    """Opens a stream, as often as it is called, and yields its sound, 16 kHz mono.

    Parameters
    ----------
    patience : seconds without a packet after which the stream counts as lost
    say : called with a message about what is heard, once for each kind

    Raises
    ------
    SourceLost
        while iterating, if the stream cannot be opened, delivers nothing or ends: opened again, it
        may work.
    """

    def __init__(
        self, address: StreamAddress, *, patience: float, say: Callable[[str], None]
    ) -> None:
        self._address, self._patience, self._say = address, patience, say
        self._said = ""

    def __call__(self) -> Generator[Samples | Dropped]:
        try:
            with closing(LiveSound(self._address.url, patience=self._patience)) as sound:
                self._describe(sound)
                yield from _mono(sound)
        except LiveSoundError as error:
            raise SourceLost(f"{self._address}: {error}") from None

    def _describe(self, sound: LiveSound) -> None:
        channels = "mono" if sound.channels == 1 else f"{sound.channels} channels"
        line = f"{self._address}: {sound.codec}, {sound.rate} Hz, {channels}"
        if line != self._said:
            self._said = line
            self._say(line)


def _mono(sound: LiveSound) -> Generator[Samples | Dropped]:
    downmix, convert = Downmix(), None
    for block in sound.blocks(BLOCK_SECONDS):
        if block.missing:
            yield Dropped(block.missing)
        if convert is None or block.missing or block.rate != convert.rate:
            convert = Converter(block.rate)
        yield convert(downmix.mono(block.samples))
