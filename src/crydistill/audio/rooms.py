"""Simulate room acoustics: impulse responses of random shoebox rooms.

Uses the image-source method (Allen and Berkley 1979) as implemented by pyroomacoustics.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import oaconvolve

from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.errors import MissingExtraError

Place = npt.NDArray[np.float64]
"""Position in metres along a room's width, depth and height, `[3]`."""

_WALL_DISTANCE = 0.3
"""Minimum distance in metres of source and microphone from the walls."""

_MAX_REFLECTION_ORDER = 12
"""Maximum reflection order: later reflections are below a bedroom's noise floor."""

_FIRST_REFLECTION_SECONDS = 0.002
"""From the direct sound to the first reflection of a diffuse room."""


@dataclass(frozen=True)
class Room:
    """A shoebox room with a source and a microphone.

    size : width, depth and height in metres
    reverberation : RT60 in seconds
    distance : metres from source to microphone, limited by the size of the room
    """

    size: tuple[float, float, float]
    reverberation: float
    distance: float


def draw_room(rng: np.random.Generator) -> Room:
    """Draw a random room, from a small bathroom to a living room, and a distance in it."""
    return Room(
        size=(float(rng.uniform(2, 6)), float(rng.uniform(2, 7)), float(rng.uniform(2.2, 3.2))),
        reverberation=float(rng.uniform(0.15, 0.7)),
        distance=float(np.exp(rng.uniform(np.log(0.3), np.log(4.5)))),
    )


def impulse_response(room: Room, rng: np.random.Generator) -> Samples:
    """Impulse response between a source and a microphone at random positions in a room.

    Returns
    -------
    np.ndarray [shape=(n,)], float32 at 16 kHz; starts at the direct sound, whose peak is 1.

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
        max(room.reverberation, _shortest_rt60(size)), size
    )
    shoebox = pyroomacoustics.ShoeBox(
        size,
        fs=SAMPLE_RATE,
        materials=pyroomacoustics.Material(min(absorption, 1.0)),
        max_order=min(order, _MAX_REFLECTION_ORDER),
    )
    source, microphone = _positions(size, room.distance, rng)
    shoebox.add_source(source)
    shoebox.add_microphone(microphone)
    shoebox.compute_rir()
    response = np.asarray(shoebox.rir[0][0])
    peak = int(np.argmax(np.abs(response) >= 0.99 * np.abs(response).max()))
    return np.asarray(response[peak:] / response[peak], dtype=np.float32)


def in_room(samples: Samples, response: Samples) -> Samples:
    """Convolve with an impulse response; keeps length, timing and level of the direct sound."""
    return np.asarray(oaconvolve(samples, response)[: len(samples)], dtype=np.float32)


def diffuse_response(reverberation: float, direct_db: float, rng: np.random.Generator) -> Samples:
    """Impulse response of a diffuse room: the direct sound, then noise that decays exponentially.

    Coarser than `impulse_response`, and needs no further package (Polack 1988; Moorer 1979).

    Parameters
    ----------
    reverberation : RT60 in seconds
    direct_db : energy of the direct sound against that of all reflections
    """
    time = np.arange(1, max(2, round(reverberation * SAMPLE_RATE))) / SAMPLE_RATE
    late = rng.normal(size=len(time)) * 10 ** (-3 * time / reverberation)
    late *= np.where(time < _FIRST_REFLECTION_SECONDS, 0, 1)
    late *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(late**2))
    return np.concatenate([[1], late]).astype(np.float32)


def _shortest_rt60(size: Place) -> float:
    """RT60 with almost fully absorbing walls, by Sabine's formula."""
    volume = float(np.prod(size))
    walls = 2 * float(size[0] * size[1] + size[1] * size[2] + size[0] * size[2])
    return 0.162 * volume / walls


def _positions(size: Place, distance: float, rng: np.random.Generator) -> tuple[Place, Place]:
    """Draw positions of source and microphone that are as close to `distance` apart as possible."""
    low, high = np.full(3, _WALL_DISTANCE), size - _WALL_DISTANCE
    sources = rng.uniform(low, high, (32, 3))
    directions = rng.standard_normal((32, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    microphones = np.clip(sources + distance * directions, low, high)
    apart = np.linalg.norm(microphones - sources, axis=1)
    best = int(np.argmin(np.abs(apart - distance)))
    return sources[best], microphones[best]
