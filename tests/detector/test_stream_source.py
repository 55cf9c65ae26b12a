"""Streams over HTTP that drop, stall, send nonsense and come back."""

from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pytest
from tests.detector.sounds import LoudnessScorer, Remembering, faint, loud
from tests.detector.stream_server import Answer, StreamServer, stream_server, wav_header

from crydistill.audio import ffmpeg_live
from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.detector import live
from crydistill.detector.live import Listener, LiveEvent
from crydistill.detector.sources import Dropped, SourceLost, in_background
from crydistill.detector.stream_address import StreamAddress
from crydistill.detector.stream_source import StreamSource
from crydistill.detector.vote import VoteSettings

PATIENCE = 1.0


@pytest.fixture(autouse=True)
def quick_to_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg_live, "_SHORTEST_TIMEOUT_SECONDS", 2.0)


@pytest.fixture
def server() -> Iterator[StreamServer]:
    with stream_server() as running:
        yield running


def pcm(samples: Samples) -> bytes:
    return np.rint(samples * 32_767).astype("<i2").tobytes()


def source(
    address: str, say: Callable[[str], None] = lambda line: None, patience: float = PATIENCE
) -> StreamSource:
    return StreamSource(StreamAddress.parse(address), patience=patience, say=say)


def received(stream: StreamSource) -> tuple[Samples, str]:
    """All samples until the stream is lost, and why it was."""
    samples: list[Samples] = [np.empty(0, dtype=np.float32)]
    with pytest.raises(SourceLost) as lost, closing(stream()) as blocks:
        for block in blocks:
            assert not isinstance(block, Dropped)
            samples.append(block)
    return np.concatenate(samples), str(lost.value)


def test_every_sample_arrives_until_the_stream_ends(server: StreamServer) -> None:
    sound, said = faint(3), list[str]()
    server.answers = [Answer([wav_header(), pcm(sound)])]
    heard, why = received(source(server.address + "/live.wav", said.append))
    assert pcm(heard) == pcm(sound)
    assert why == f"{server.address}: the stream has ended"
    assert said == [f"{server.address}: pcm_s16le, 16000 Hz, mono"]


def test_another_rate_is_resampled(server: StreamServer) -> None:
    server.answers = [Answer([wav_header(8_000), pcm(loud(4))])]  # at half the rate: 8 s
    heard, _ = received(source(server.address))
    assert len(heard) == pytest.approx(8 * SAMPLE_RATE, rel=0.02)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer([b"<html>Camera</html>" * 500], kind="text/html"), "no sound that can be read"),
        (Answer([b""]), "hangs up at once"),
        (Answer([b"no"], status=401), "refuses the user"),
        (Answer([b"no"], status=403), "refuses the user"),
        (Answer([b"no"], status=404), "404 Not Found"),
        (Answer([b"no"], status=500), "5XX Server Error"),
        (Answer([5.0]), "nothing has arrived for 2 s"),
        (Answer([wav_header(), pcm(faint(1)), 5.0]), "nothing has arrived for 2 s"),
        (Answer([b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"],
                kind="application/vnd.apple.mpegurl"), "no sound that can be read"),
    ],
)  # fmt: skip
def test_a_stream_that_cannot_be_heard_is_lost_for_a_reason_without_its_secrets(
    server: StreamServer, answer: Answer, reason: str
) -> None:
    server.answers = [answer, answer]  # FFmpeg asks again after 401, with the password
    address = server.address.replace("//", "//me:secret@") + "/path?key=secret"
    _, why = received(source(address))
    assert reason in why
    assert why.startswith(server.address + ": ") and "secret" not in why and "path" not in why


def test_user_and_password_of_the_address_reach_the_server(server: StreamServer) -> None:
    server.answers = [Answer([wav_header(), pcm(faint(1))], asks=True)]
    heard, _ = received(source(server.address.replace("//", "//me:p%40ss@")))
    assert server.authorizations == [None, "Basic bWU6cEBzcw=="]
    assert len(heard) == SAMPLE_RATE


def test_nobody_there(server: StreamServer) -> None:
    address = "http://127.0.0.1:1/x"
    _, why = received(source(address))
    assert why == "http://127.0.0.1:1: it cannot be used (Connection refused)"
    _, why = received(source("rtsp://me:secret@no.such.host.invalid/x"))
    assert why == (
        "rtsp://no.such.host.invalid: it cannot be reached, or hangs up at once; check "
        "the name of its host"
    )


class Heard:
    """What a listener does with a stream."""

    def __init__(self) -> None:
        self.events: list[LiveEvent] = []
        self.said: list[str] = []
        self.sound: list[bool] = []


def listen(address: str, listener: Listener, *, until: Callable[[Heard], bool]) -> Heard:
    found = Heard()
    stream = source(address, found.said.append)
    live.listen(
        lambda: in_background(stream, tick=0.05),
        listener,
        emit=found.events.append,
        say=found.said.append,
        available=found.sound.append,
        stopping=lambda: until(found),
        patience=PATIENCE,
    )
    return found


def test_a_dropped_a_stalled_and_a_wrong_stream_come_back(server: StreamServer) -> None:
    """Every cry is heard, availability follows the sound, and no window spans an outage."""
    cry = pcm(np.concatenate([faint(1), loud(2), faint(1)]))
    server.answers = [
        Answer([wav_header(), cry]),
        Answer([b"<html>starting</html>" * 500], kind="text/html"),
        Answer([wav_header(), cry, 3.0]),
        Answer([wav_header(), cry]),
    ]
    settings = VoteSettings(threshold=0.5, n=1, m=1, hold_seconds=0.48)
    listener = Listener(LoudnessScorer(), settings)
    found = listen(server.address, listener, until=lambda found: len(found.sound) == 5)
    assert [event.kind.value for event in found.events] == 3 * ["on", "off"]
    assert found.sound == [False, True, False, True, False]
    onsets = [event.onset for event in found.events[::2]]
    assert onsets[0] in (0.48, 0.96)
    assert min(np.diff(onsets)) > 4  # the outages took time
    lost = [line for line in found.said if "retrying until it works" in line]
    assert len(lost) == len(set(lost)) or "the stream has ended" in lost[-1]
    assert any("no sound that can be read" in line for line in found.said)


def test_a_student_with_memory_forgets_what_was_before_an_outage(server: StreamServer) -> None:
    five_windows = pcm(loud(0.975 + 4 * 0.48 + 0.1))
    server.answers = [Answer([wav_header(), five_windows]) for _ in range(2)]
    # Its score is the number of windows that it remembers: ten would be two connections'.
    settings = VoteSettings(threshold=6.0, n=1, m=1)
    scores: list[float] = []
    listener = Listener(Remembering(), settings)
    stream = source(server.address)
    sound: list[bool] = []
    live.listen(
        lambda: in_background(stream, tick=0.05), listener,
        emit=lambda event: pytest.fail(f"{event}"), available=sound.append,
        show=lambda state: scores.append(state.score),
        stopping=lambda: sound == [False, True, False], patience=PATIENCE,
    )  # fmt: skip
    assert max(score for score in scores if not np.isnan(score)) == 5.0


@pytest.mark.parametrize("stall", [6.0, 1.5])  # until it is given up, and until it ends
def test_what_was_left_of_a_block_is_not_taken_for_sound_that_is_back(
    stall: float, server: StreamServer
) -> None:
    """A stream that stalls within a block is away once, until there is a new one."""
    # What FFmpeg wants to know a stream; frames that had to be waited for, so that the blocks are
    # short; then a tenth of a second.
    live_frames = [part for _ in range(20) for part in (pcm(loud(0.1)), 0.1)]
    begun = [wav_header(), pcm(loud(1.5))]
    server.answers = [Answer([*begun, *live_frames, pcm(loud(0.1)), stall])]
    listener = Listener(LoudnessScorer(), VoteSettings(threshold=0.5, n=1, m=1))
    found = listen(
        server.address, listener,
        until=lambda found: any("retrying" in line for line in found.said),
    )  # fmt: skip
    assert found.sound == [False]
    assert "sound is back" not in "".join(found.said)


@pytest.mark.slow
def test_an_hour_of_a_stream_that_drops_stalls_and_sends_nonsense(
    server: StreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faster than real time: each of sixty connections brings a minute with a cry in it."""
    monkeypatch.setattr(live, "RETRY_SECONDS", (0.2, 0.4))
    minute = pcm(np.concatenate([faint(20), loud(5), faint(35)]))
    faults: list[Answer | None] = [None, Answer([b"nonsense" * 999]), Answer([], 404)]
    for number in range(60):
        stall: list[bytes | float] = [2.0] if number % 3 == 0 else []
        server.answers.append(Answer([wav_header(), minute, *stall]))
        if fault := faults[number % 3]:
            server.answers.append(fault)
    listener = Listener(LoudnessScorer(), VoteSettings(threshold=0.5, n=2, m=3, hold_seconds=5))
    found = listen(
        server.address, listener,
        until=lambda found: len(found.events) == 120 and not server.answers,
    )  # fmt: skip
    assert [event.kind.value for event in found.events] == 60 * ["on", "off"]
    onsets = [event.onset for event in found.events[::2]]
    assert min(np.diff(onsets)) > 60
    lengths = [off.at - off.onset for off in found.events[1::2]]
    assert max(lengths) - min(lengths) < 1
