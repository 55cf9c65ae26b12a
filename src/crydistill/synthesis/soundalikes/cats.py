"""Synthesise cats' calls: meows of cats of any age and mood, and yowls."""

from dataclasses import replace

import numpy as np

from crydistill.synthesis.nursery.cats import Cat, meow
from crydistill.synthesis.nursery.synthesis import Floats
from crydistill.synthesis.nursery.throat import with_pauses


def cat_calls(rng: np.random.Generator, seconds: float) -> Floats:
    """One cat that meows: short or drawn out, high as a kitten or low as a yowling tomcat."""
    cat = Cat.drawn(rng)
    pitch = float(np.exp(rng.uniform(np.log(450), np.log(1_100))))
    tract = float(np.clip((pitch / 700) ** 0.2, 0.9, 1.15) * rng.uniform(0.97, 1.1))
    throat = replace(
        cat.throat, breath=float(rng.uniform(0.08, 0.3)), jitter=float(rng.uniform(0.005, 0.016))
    )
    cat = replace(cat, pitch=pitch, tract=tract, throat=throat)
    usual = float(np.exp(rng.uniform(np.log(0.4), np.log(1.5))))
    return with_pauses(
        rng, seconds, (0.2, 1.8), lambda: meow(rng, usual * rng.uniform(0.8, 1.25), cat)
    )
