"""The synthetic nursery: about ten minutes of labelled audio without recordings or downloads.

`compose` lists the clips of a seed, `render` synthesises one, `write_nursery` writes them all as a
corpus with a manifest. The building blocks (`cry`, `babble`, `speech`, `hum`, ...) are functions of
a random generator, a length in seconds and an individual (`Infant`, `Adult`, `Appliance`, ...), and
return float64 samples at 16 kHz.
"""

from crydistill.synthesis.nursery.adults import Adult, lullaby, speech
from crydistill.synthesis.nursery.cats import Cat, meow, meowing
from crydistill.synthesis.nursery.clips import (
    CATEGORIES,
    CRY_CATEGORIES,
    SPLITS,
    NurseryClip,
    compose,
    cry_share,
    individual,
    render,
)
from crydistill.synthesis.nursery.corpus import NURSERY_VERSION, write_nursery
from crydistill.synthesis.nursery.infants import (
    Infant,
    babble,
    cry,
    cry_times,
    crying,
    gasp,
    laugh,
)
from crydistill.synthesis.nursery.synthesis import record_in_room, room_response
from crydistill.synthesis.nursery.things import (
    Appliance,
    Door,
    MusicBox,
    NoiseMachine,
    Room,
    hum,
    knocks,
    music_box,
    room_tone,
    white_noise,
)

__all__ = [
    "CATEGORIES",
    "CRY_CATEGORIES",
    "NURSERY_VERSION",
    "SPLITS",
    "Adult",
    "Appliance",
    "Cat",
    "Door",
    "Infant",
    "MusicBox",
    "NoiseMachine",
    "NurseryClip",
    "Room",
    "babble",
    "compose",
    "cry",
    "cry_share",
    "cry_times",
    "crying",
    "gasp",
    "hum",
    "individual",
    "knocks",
    "laugh",
    "lullaby",
    "meow",
    "meowing",
    "music_box",
    "record_in_room",
    "render",
    "room_response",
    "room_tone",
    "speech",
    "white_noise",
    "write_nursery",
]
