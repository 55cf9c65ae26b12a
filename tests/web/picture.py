"""Take the picture of the page for the README: `make web-picture`.

The page reads some minutes of the synthetic nursery: a cry behind every few other sounds.
"""

import base64
import sys
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile
from tests.web.chromium import Page, chromium

from crydistill import atomic
from crydistill.audio.mel import SAMPLE_RATE
from crydistill.corpora.clip import Label
from crydistill.device.selftest_vectors import Pcm
from crydistill.student.packaged import packaged_student
from crydistill.student.runtime import TfliteStudent
from crydistill.synthesis.nursery import compose, render
from crydistill.web.page import write_page

WIDTH, HEIGHT = 1280, 768
SEED, CRIES, OTHERS_BEFORE_A_CRY = 1, 4, 8


def open_and_read(tab: Page, page: Path, recording: Path) -> None:
    """Open the page and have it read a recording to the end."""
    tab.open(page.as_uri())
    tab.wait_for("!document.querySelector('[aria-busy]')")
    tab.choose_file("file", recording)
    tab.wait_for("document.getElementById('status').textContent.endsWith('read.')", 240)


def picture(tab: Page, width: int, height: int, scheme: str) -> bytes:
    """The page from its top, as PNG."""
    tab.size(width, height, scheme)
    tab.send("Emulation.setScrollbarsHidden", hidden=True)
    # Two frames later everything is drawn in this size.
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    taken = tab.send("Page.captureScreenshot", format="png")
    return base64.b64decode(taken["data"])


def evening() -> Pcm:
    clips = compose(SEED)
    cries = [clip for clip in clips if clip.label is Label.CRY][:CRIES]
    others = iter([clip for clip in clips if clip.label is not Label.CRY])
    played = [clip for cry in cries for clip in (*islice(others, OTHERS_BEFORE_A_CRY), cry)]
    return np.concatenate(
        [render(clip) for clip in (*played, *islice(others, OTHERS_BEFORE_A_CRY))]
    )


def main(path: str) -> None:
    student = TfliteStudent.load(packaged_student())
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        page = write_page(student.tflite, student.manifest, folder / "listen.html")
        soundfile.write(folder / "evening.wav", evening(), SAMPLE_RATE, subtype="PCM_16")
        with chromium(folder / "profile") as tab:
            open_and_read(tab, page, folder / "evening.wav")
            atomic.write_bytes(path, picture(tab, WIDTH, HEIGHT, "light"))


if __name__ == "__main__":
    main(sys.argv[1])
