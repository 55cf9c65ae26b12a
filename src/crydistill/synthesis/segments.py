"""Render synthetic AudioSet segments with the nursery's sounds."""

from crydistill.audio.mel import Samples
from crydistill.corpora.audioset import Segment
from crydistill.errors import CorpusError
from crydistill.seeds import generator
from crydistill.synthesis.nursery.adults import Adult, speech
from crydistill.synthesis.nursery.infants import Infant, babble, cry_times, crying
from crydistill.synthesis.nursery.synthesis import Floats
from crydistill.synthesis.nursery.things import Room, room_tone

_PEAK = 0.5
_SILENCE_PEAK = 0.002


def render_segment(segment: Segment) -> Samples:
    """Synthesise a segment of the smoke list, `[n]` at 16 kHz, determined by its id.

    Raises
    ------
    CorpusError
        if there is no synthetic sound for its class.
    """
    rng = generator(0, "segment", segment.youtube_id)
    seconds = segment.seconds
    sound: Floats
    match segment.class_name:
        case "cry":
            infant = Infant.drawn(rng)
            sound = _PEAK * crying(rng, seconds, infant, cry_times(rng, seconds, infant))
        case "speech":
            sound = _PEAK * speech(rng, seconds, Adult.drawn(rng))
        case "babbling":
            sound = _PEAK * babble(rng, seconds, Infant.drawn(rng))
        case "silence":
            sound = _SILENCE_PEAK * room_tone(rng, seconds, Room.drawn(rng))
        case other:
            raise CorpusError(f"{segment.youtube_id}: no synthetic sound for class {other}")
    return sound.astype("float32")
