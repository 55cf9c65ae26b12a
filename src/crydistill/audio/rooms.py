"""Rooms: what a sound becomes on its way to a microphone across a nursery.

Shoebox rooms by the image-source method (Allen and Berkley 1979), computed by pyroomacoustics.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import oaconvolve

from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.errors import MissingExtraError

Place = npt.NDArray[np.float64]
"""Metres along a room's width, depth and height, `[3]`."""

_HEADROOM_FROM_WALLS = 0.3
"""Metres that source and microphone keep from the walls."""

_MAX_ORDER = 12
"""Reflections counted: later ones are below the noise of a bedroom."""


@dataclass(frozen=True)
class Room:
    """A shoebox room, a source and a microphone in it.

    size : width, depth and height in metres
    reverberation : seconds until sound has fallen by 60 dB
    distance : metres from source to microphone; as far as the room allows where it is too small
    """

    size: tuple[float, float, float]
    reverberation: float
    distance: float


def draw_room(rng: np.random.Generator) -> Room:
    """Draw a home's room, from a small bathroom to a living room, and a distance in it."""
    return Room(
        size=(float(rng.uniform(2, 6)), float(rng.uniform(2, 7)), float(rng.uniform(2.2, 3.2))),
        reverberation=float(rng.uniform(0.15, 0.7)),
        distance=float(np.exp(rng.uniform(np.log(0.3), np.log(4.5)))),
    )


def impulse_response(room: Room, rng: np.random.Generator) -> Samples:
    """Impulse response from a source to a microphone that stand at random places in a room.

    Returns
    -------
    np.ndarray [shape=(n,)], float32 at 16 kHz; begins with the direct sound, whose peak is 1.

    Raises
    ------
    MissingExtraError
        if pyroomacoustics is not installed.
    """
    try:
        import pyroomacoustics
    except ImportError as error:
        raise MissingExtraError(
            "simulated rooms need pyroomacoustics: pip install 'crydistill[train]'"
        ) from error
    size = np.array(room.size)
    absorption, order = pyroomacoustics.inverse_sabine(
        max(room.reverberation, _shortest_reverberation(size)), size
    )
    shoebox = pyroomacoustics.ShoeBox(
        size,
        fs=SAMPLE_RATE,
        materials=pyroomacoustics.Material(min(absorption, 1.0)),
        max_order=min(order, _MAX_ORDER),
    )
    source, microphone = _places(size, room.distance, rng)
    shoebox.add_source(source)
    shoebox.add_microphone(microphone)
    shoebox.compute_rir()
    response = np.asarray(shoebox.rir[0][0])
    peak = int(np.argmax(np.abs(response) >= 0.99 * np.abs(response).max()))
    return np.asarray(response[peak:] / response[peak], dtype=np.float32)


def in_room(samples: Samples, response: Samples) -> Samples:
    """Play samples in a room: same length, the direct sound where it was and as loud."""
    return np.asarray(oaconvolve(samples, response)[: len(samples)], dtype=np.float32)


def _shortest_reverberation(size: Place) -> float:
    """Seconds of reverberation with walls that swallow nearly everything, by Sabine's formula."""
    volume = float(np.prod(size))
    walls = 2 * float(size[0] * size[1] + size[1] * size[2] + size[0] * size[2])
    return 0.162 * volume / walls


def _places(size: Place, distance: float, rng: np.random.Generator) -> tuple[Place, Place]:
    """Draw a source and a microphone that far apart, or as near to it as the room allows."""
    low, high = np.full(3, _HEADROOM_FROM_WALLS), size - _HEADROOM_FROM_WALLS
    sources = rng.uniform(low, high, (32, 3))
    directions = rng.standard_normal((32, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    microphones = np.clip(sources + distance * directions, low, high)
    apart = np.linalg.norm(microphones - sources, axis=1)
    best = int(np.argmin(np.abs(apart - distance)))
    return sources[best], microphones[best]
