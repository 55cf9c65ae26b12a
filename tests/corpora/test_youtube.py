"""Tests of the fetcher: the real yt-dlp with a local server, and a fake with many failures."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.fake_ytdlp import level
from tests.fileserver import Fault, FileServer, file_server

from crydistill.audio.mel import SAMPLE_RATE, Samples
from crydistill.corpora.audioset import Segment, read_segments, smoke_list, write_segments
from crydistill.corpora.clip import Label
from crydistill.corpora.ledger import FINAL, GONE, Ledger, State, read_ledger
from crydistill.corpora.youtube import (
    FetchReport,
    Pace,
    audio_path,
    fetch_segments,
    fetched_clips,
)
from crydistill.corpora.ytdlp import Tools, check_tools, find_tools
from crydistill.download import sha256_of
from crydistill.errors import ConfigError, CorpusError, SetupError
from crydistill.lock import BusyError, exclusive

FAKE = Path(__file__).parents[1] / "fake_ytdlp.py"
FAST = Pace(per_hour=1e9, backoff=(0.02, 0.04, 0.08), timeout=20.0)

REMOVED = "ERROR: [youtube] x: Video unavailable. This video has been removed by the uploader"
PRIVATE = "ERROR: [youtube] x: Private video. Sign in if you've been granted access to this video"
AGE = "ERROR: [youtube] x: Sign in to confirm your age. This video may be inappropriate"
REGION = "ERROR: [youtube] x: The uploader has not made this video available in your country"
BARE = "ERROR: [youtube] x: Video unavailable"
BOT = "ERROR: [youtube] x: Sign in to confirm you're not a bot. Use --cookies-from-browser"
SIGN_IN = "ERROR: [youtube] x: Please sign in. Use --cookies-from-browser or --cookies"
NO_RUNTIME = "ERROR: [youtube] x: WARNING: No supported JavaScript runtime could be found."
RESET = "ERROR: [youtube] x: Unable to download API page: Connection reset by peer"


def segment(number: int, seconds: float = 1.0) -> Segment:
    """A segment whose id starts with a hyphen, as one id in 64 does."""
    return Segment(f"-_{number:08d}x", 30.0, 30.0 + seconds, ("/t/dd00002", "/m/09x0r"))


SEGMENTS = [segment(number) for number in range(6)]


class Fake:
    """The fake yt-dlp, its plan and its log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir()
        self.plan({})
        self.tools = Tools((sys.executable, "-I", "-S", str(FAKE), str(folder)), Path("ffmpeg"))

    def plan(self, plan: dict[str, Any]) -> None:
        (self.folder / "plan.json").write_text(json.dumps(plan))

    def log(self, name: str = "log") -> list[tuple[str, float, int]]:
        """Id, time and process of every attempt so far, at its start or (`ends`) end."""
        if not (self.folder / name).exists():
            return []
        rows = [line.split() for line in (self.folder / name).read_text().splitlines()]
        return [(name, float(when), int(process)) for name, when, process in rows]

    def attempts(self) -> Counter[str]:
        return Counter(name for name, _, _ in self.log())


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    return Fake(tmp_path / "fake")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audioset"


def fetch(
    fake: Fake, folder: Path, segments: Sequence[Segment] = SEGMENTS, pace: Pace = FAST
) -> FetchReport:
    return fetch_segments(segments, folder, fake.tools, pace=pace, url_template="fake://{id}")


def check_folder(folder: Path, segments: Sequence[Segment]) -> None:
    """Check that exactly the segments marked done have a complete file with the right audio."""
    ledger = read_ledger(folder)
    done = [s for s in segments if ledger[s.youtube_id].state is State.DONE]
    files = {path.name for path in folder.iterdir()}
    assert files == {audio_path(folder, s).name for s in done} | {"ledger.jsonl"}
    for s in done:
        path = audio_path(folder, s)
        samples, rate = soundfile.read(path, dtype="int16")
        assert rate == SAMPLE_RATE and len(samples) == SAMPLE_RATE
        assert set(samples) == {level(s.youtube_id)}, "audio of another video"
        assert sha256_of(path) == ledger[s.youtube_id].sha256
        assert ledger[s.youtube_id].seconds == 1.0
    lines = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    finals = Counter(line["youtube_id"] for line in lines if line["state"] in FINAL)
    assert max(finals.values(), default=1) == 1, "a segment came to its end twice"


def test_all_is_well(fake: Fake, folder: Path) -> None:
    report = fetch(fake, folder)
    assert report == FetchReport({State.DONE: 6}, waiting=0)
    check_folder(folder, SEGMENTS)
    entry = read_ledger(folder)[SEGMENTS[0].youtube_id]
    amplitude = level(SEGMENTS[0].youtube_id) / 32768
    assert entry.level_dbfs == pytest.approx(20 * np.log10(amplitude), abs=0.06)


def test_a_second_run_asks_nothing(fake: Fake, folder: Path) -> None:
    fake.plan({SEGMENTS[0].youtube_id: [REMOVED]})
    fetch(fake, folder)
    report = fetch(fake, folder)
    assert report == FetchReport({State.DONE: 5, State.REMOVED: 1}, waiting=0)
    assert set(fake.attempts().values()) == {1}


@pytest.mark.parametrize(
    ("message", "state"),
    [
        (REMOVED, State.REMOVED),
        (PRIVATE, State.PRIVATE),
        (AGE, State.AGE_RESTRICTED),
        (REGION, State.REGION_BLOCKED),
    ],
)
def test_what_is_gone_is_not_asked_for_again(
    fake: Fake, folder: Path, message: str, state: State
) -> None:
    fake.plan({SEGMENTS[0].youtube_id: [message]})
    for _ in range(2):
        assert fetch(fake, folder, SEGMENTS[:1]).states == {state: 1}
    assert fake.attempts() == {SEGMENTS[0].youtube_id: 1}


@pytest.mark.parametrize(
    ("outcome", "state"),
    [("garbage", State.BAD_MEDIA), ("short", State.BAD_MEDIA), ("die", State.NOT_UNDERSTOOD)],
)
def test_other_failures_are_tried_again_in_the_next_run(
    fake: Fake, folder: Path, outcome: str, state: State
) -> None:
    fake.plan({SEGMENTS[0].youtube_id: [outcome]})
    assert fetch(fake, folder, SEGMENTS[:1]) == FetchReport({state: 1}, waiting=1)
    assert not audio_path(folder, SEGMENTS[0]).exists()
    assert fetch(fake, folder, SEGMENTS[:1]) == FetchReport({State.DONE: 1}, waiting=0)
    check_folder(folder, SEGMENTS[:1])


def test_the_network_is_tried_three_times(fake: Fake, folder: Path) -> None:
    fake.plan({SEGMENTS[0].youtube_id: [RESET] * 2, SEGMENTS[1].youtube_id: [RESET] * 9})
    report = fetch(fake, folder)
    assert report == FetchReport({State.DONE: 5, State.NETWORK: 1}, waiting=1)
    assert fake.attempts()[SEGMENTS[0].youtube_id] == 3
    assert fake.attempts()[SEGMENTS[1].youtube_id] == 3


def test_an_attempt_that_hangs_is_killed(fake: Fake, folder: Path) -> None:
    fake.plan({SEGMENTS[0].youtube_id: ["hang"]})
    pace = Pace(per_hour=1e9, timeout=0.7)
    assert fetch(fake, folder, pace=pace) == FetchReport({State.DONE: 6}, waiting=0)
    assert fake.attempts()[SEGMENTS[0].youtube_id] == 2


def test_a_passing_rate_limit_is_waited_out(fake: Fake, folder: Path) -> None:
    fake.plan({"limits": [1, 2, 3, 4, 5]})
    assert fetch(fake, folder) == FetchReport({State.DONE: 6}, waiting=0)
    check_folder(folder, SEGMENTS)


def test_a_lasting_rate_limit_stops_the_run_and_condemns_nothing(fake: Fake, folder: Path) -> None:
    fake.plan({"limits": list(range(2, 1000))})
    pace = Pace(per_hour=1e9, workers=2, backoff=(0.02, 0.04))
    report = fetch(fake, folder, pace=pace)
    assert report.stopped.startswith("YouTube's rate limit persisted")
    assert "run the same command again" in report.stopped
    assert report.states[State.DONE] + report.waiting == 6
    assert not set(report.states) & GONE
    # The two concurrent attempts, then a single one after each wait.
    assert len(fake.log()) <= 2 + 2 + 2
    fake.plan({})
    assert fetch(fake, folder) == FetchReport({State.DONE: 6}, waiting=0)
    check_folder(folder, SEGMENTS)


@pytest.mark.parametrize("message", [BOT, SIGN_IN])
def test_a_request_to_sign_in_is_waited_out(fake: Fake, folder: Path, message: str) -> None:
    fake.plan({SEGMENTS[0].youtube_id: [message] * 2})
    pace = Pace(per_hour=1e9, workers=1, backoff=(0.3, 0.3))
    report = fetch(fake, folder, SEGMENTS[:1], pace)
    assert report == FetchReport({State.DONE: 1}, waiting=0)
    times = [when for _, when, _ in fake.log()]
    assert len(times) == 3
    assert min(times[1] - times[0], times[2] - times[1]) > 0.25
    check_folder(folder, SEGMENTS[:1])


def test_a_video_that_always_asks_to_sign_in_does_not_hold_up_the_others(
    fake: Fake, folder: Path
) -> None:
    fake.plan({SEGMENTS[0].youtube_id: [SIGN_IN] * 99})
    report = fetch(fake, folder)
    assert report.states == {State.DONE: 5, State.RATE_LIMITED: 1}
    assert report.waiting == 1
    assert report.stopped.startswith("YouTube's rate limit persisted")


def test_what_this_machine_lacks_is_found_before_the_first_download(
    fake: Fake, folder: Path
) -> None:
    fake.plan({"has": {"JS runtimes": "none"}})
    with pytest.raises(SetupError, match=r"no JavaScript runtime.*nothing was downloaded"):
        fetch(fake, folder)
    assert fake.log() == []
    assert read_ledger(folder) == {}
    fake.plan({})
    assert fetch(fake, folder) == FetchReport({State.DONE: 6}, waiting=0)
    # With nothing left to download, nothing is needed.
    fake.plan({"has": {"JS runtimes": "none"}})
    assert fetch(fake, folder).waiting == 0


def test_what_this_machine_lacks_later_stops_the_run_and_marks_nothing(
    fake: Fake, folder: Path
) -> None:
    fake.plan({SEGMENTS[2].youtube_id: [NO_RUNTIME]})
    with pytest.raises(SetupError, match="run the same command again to resume"):
        fetch(fake, folder, pace=Pace(per_hour=1e9, workers=1))
    assert {entry.state for entry in read_ledger(folder).values()} == {State.DONE}
    assert fetch(fake, folder) == FetchReport({State.DONE: 6}, waiting=0)
    check_folder(folder, SEGMENTS)


def test_after_a_limit_it_probes_alone_and_later(fake: Fake, folder: Path) -> None:
    fake.plan({"limits": [0, 1, 2]} | {s.youtube_id: ["slow"] for s in SEGMENTS})
    pace = Pace(per_hour=1e9, workers=2, backoff=(0.5, 0.7))
    assert fetch(fake, folder, pace=pace).states == {State.DONE: 6}
    times = [when for _, when, _ in fake.log()]
    assert times[2] - times[1] > 0.45
    assert times[3] - times[2] > 0.65
    assert times[4] - times[3] > 0.45  # only after the probe has succeeded


def test_unavailable_is_believed_an_hour_later(fake: Fake, folder: Path) -> None:
    target = SEGMENTS[0]
    fake.plan({target.youtube_id: [BARE] * 3})
    for _ in range(2):
        report = fetch(fake, folder, [target])
        assert report == FetchReport({State.UNAVAILABLE: 1}, waiting=1)
    with Ledger(folder) as ledger:
        first = ledger.unavailable_since(target)
    path = folder / "ledger.jsonl"
    path.write_text(path.read_text().replace(str(first), str(time.time() - 3601)))
    assert fetch(fake, folder, [target]) == FetchReport({State.REMOVED: 1}, waiting=0)


def test_unavailable_at_first_and_there_later(fake: Fake, folder: Path) -> None:
    fake.plan({SEGMENTS[0].youtube_id: [BARE]})
    fetch(fake, folder, SEGMENTS[:1])
    assert fetch(fake, folder, SEGMENTS[:1]).states == {State.DONE: 1}


def test_too_many_failures_stop_the_run(fake: Fake, folder: Path) -> None:
    many = [segment(number) for number in range(40)]
    fake.plan({s.youtube_id: [RESET] * 9 for s in many})
    pace = Pace(per_hour=1e9, workers=2, failures=5)
    report = fetch(fake, folder, many, pace)
    assert report.stopped.startswith("5 attempts in a row failed, the last one with: ")
    assert "Connection reset by peer" in report.stopped
    assert len(fake.log()) <= 5 + 1
    assert report.waiting == 40


def test_attempts_are_spaced(fake: Fake, folder: Path) -> None:
    fetch(fake, folder, pace=Pace(per_hour=3600 / 0.3))
    times = [when for _, when, _ in fake.log()]
    assert times[-1] - times[0] > 5 * 0.3 - 0.4  # a busy machine starts a process late


def test_starting_again_does_not_buy_a_faster_pace(fake: Fake, folder: Path) -> None:
    pace = Pace(per_hour=3600 / 0.5)
    for one in SEGMENTS[:3]:
        fetch(fake, folder, [one], pace)
    times = [when for _, when, _ in fake.log()]
    assert times[-1] - times[0] > 2 * 0.5 - 0.3


@pytest.mark.parametrize("wrong", [{"per_hour": 0.0}, {"workers": 0}, {"tries": 0}])
def test_a_pace_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="each must be above 0"):
        Pace(**wrong)


def test_as_many_at_once_as_allowed(fake: Fake, folder: Path) -> None:
    fake.plan({s.youtube_id: ["slow"] for s in SEGMENTS})
    fetch(fake, folder, pace=Pace(per_hour=1e9, workers=3))
    starts = [(when, 1) for _, when, _ in fake.log()]
    ends = [(when, -1) for _, when, _ in fake.log("ends")]
    at_once = np.cumsum([step for _, step in sorted(starts + ends)])
    assert 2 <= at_once.max() <= 3


def test_a_file_without_its_line_is_adopted(fake: Fake, folder: Path) -> None:
    """State left by a kill between the rename and the ledger line."""
    fetch(fake, folder)
    lines = (folder / "ledger.jsonl").read_text().splitlines(keepends=True)
    (folder / "ledger.jsonl").write_text("".join(lines[:-1]) + lines[-1][:20])
    assert fetch(fake, folder) == FetchReport({State.DONE: 6}, waiting=0)
    assert set(fake.attempts().values()) == {1}
    check_folder(folder, SEGMENTS)


def test_a_damaged_file_without_its_line_is_fetched_again(fake: Fake, folder: Path) -> None:
    folder.mkdir()
    audio_path(folder, SEGMENTS[0]).write_bytes(b"fLaC, but not really")
    fetch(fake, folder)
    check_folder(folder, SEGMENTS)


def test_a_lost_file_is_fetched_again(fake: Fake, folder: Path) -> None:
    fetch(fake, folder)
    audio_path(folder, SEGMENTS[2]).unlink()
    assert fetch(fake, folder).states == {State.DONE: 6}
    assert audio_path(folder, SEGMENTS[2]).is_file()
    assert fake.attempts()[SEGMENTS[2].youtube_id] == 2


def test_one_process_at_a_time(fake: Fake, folder: Path) -> None:
    with exclusive(folder / ".lock"), pytest.raises(BusyError):
        fetch(fake, folder)
    assert fake.log() == []


def test_lists_that_cannot_be_fetched(fake: Fake, folder: Path) -> None:
    with pytest.raises(CorpusError, match="synthetic"):
        fetch(fake, folder, smoke_list())
    with pytest.raises(CorpusError, match="need yt-dlp and ffmpeg"):
        fetch_segments(SEGMENTS, folder, None)
    with pytest.raises(CorpusError, match="-_00000001x twice"):
        fetch(fake, folder, [*SEGMENTS, SEGMENTS[1]])


def test_a_folder_that_cannot_be_written(fake: Fake, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match="cannot be written"):
        fetch(fake, tmp_path / "file" / "below")


def test_the_smoke_list_is_rendered_offline(folder: Path) -> None:
    def render(synthetic: Segment) -> Samples:
        count = round(synthetic.seconds * SAMPLE_RATE)
        return np.full(count, 0.5 if synthetic.label is Label.CRY else 0.0, dtype=np.float32)

    report = fetch_segments(smoke_list(), folder, None, render=render)
    assert report == FetchReport({State.DONE: 50}, waiting=0)
    clips = fetched_clips(smoke_list(), folder)
    assert Counter(clip.category for clip in clips) == {
        "cry": 30,
        "speech": 10,
        "silence": 5,
        "babbling": 5,
    }
    assert all(clip.path.is_file() for clip in clips)
    levels = {entry.level_dbfs for entry in read_ledger(folder).values()}
    assert levels == {-6.0, -120.0}


def test_clips_of_survivors(fake: Fake, folder: Path) -> None:
    fake.plan({SEGMENTS[0].youtube_id: [REMOVED], SEGMENTS[1].youtube_id: ["garbage"]})
    fetch(fake, folder)
    clips = fetched_clips(SEGMENTS, folder)
    assert [clip.id for clip in clips] == [s.youtube_id for s in SEGMENTS[2:]]
    assert all(clip.is_cry and clip.group == clip.id for clip in clips)
    moved = [Segment(s.youtube_id, 0.0, 1.0, s.mids) for s in SEGMENTS]
    with pytest.raises(CorpusError, match="none of the list's audio is there"):
        fetched_clips(moved, folder)


PROGRAM = """
import json, signal, sys
from pathlib import Path
from crydistill.corpora.audioset import read_segments
from crydistill.corpora.youtube import Pace, fetch_segments
from crydistill.corpora.ytdlp import Tools

# Tests started in the background of a shell inherit an ignored SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
listed, folder, timeout, *command = sys.argv[1:]
report = fetch_segments(
    read_segments(listed), folder, Tools(tuple(command), Path("ffmpeg")),
    pace=Pace(1e9, backoff=(0.02, 0.05, 0.1), failures=100, timeout=float(timeout)),
    url_template="fake://{id}",
)
print(json.dumps([report.waiting, report.stopped]))
"""


def start(fake: Fake, folder: Path, listed: Path, timeout: float = 2.0) -> subprocess.Popen[bytes]:
    """Fetch in a separate process."""
    arguments = [str(listed), str(folder), str(timeout), *fake.tools.yt_dlp]
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE)


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_leaves_no_process_behind(fake: Fake, folder: Path, tmp_path: Path) -> None:
    fake.plan({s.youtube_id: ["hang"] for s in SEGMENTS})
    write_segments(tmp_path / "list.csv", SEGMENTS)
    with start(fake, folder, tmp_path / "list.csv", timeout=60.0) as child:
        wait_for(lambda: len(fake.log()) == 4)
        child.send_signal(signal.SIGINT)
        child.wait(10)
    for _, _, process in fake.log():
        assert not Path(f"/proc/{process}").exists()
    fake.plan({})
    assert fetch(fake, folder).states == {State.DONE: 6}


def planned(segments: Sequence[Segment], rng: random.Random) -> tuple[dict[str, Any], list[State]]:
    """Faults for each segment, and its expected state after two good runs."""
    choices: list[tuple[float, list[str], State]] = [
        (60, [], State.DONE),
        (6, [RESET], State.DONE),
        (4, [RESET, RESET], State.DONE),
        (4, ["short"], State.DONE),
        (3, ["garbage"], State.DONE),
        (2, ["die"], State.DONE),
        (0.4, ["hang"], State.DONE),
        (8, [REMOVED] * 9, State.REMOVED),
        (4, [PRIVATE] * 9, State.PRIVATE),
        (3, [AGE] * 9, State.AGE_RESTRICTED),
        (3, [REGION] * 9, State.REGION_BLOCKED),
        (3, [BARE] * 99, State.UNAVAILABLE),
    ]
    weights = [weight for weight, _, _ in choices]
    drawn = rng.choices(choices, weights, k=len(segments))
    plan: dict[str, Any] = {s.youtube_id: c[1] for s, c in zip(segments, drawn, strict=True)}
    plan["limits"] = [n for n in range(5 * len(segments)) if n % 300 in (120, 121, 122, 250)]
    return plan, [state for _, _, state in drawn]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("count", "kills"), [(40, 2), pytest.param(1000, 8, marks=pytest.mark.slow)]
)
def test_faults_and_kills_lose_and_double_nothing(
    fake: Fake, folder: Path, tmp_path: Path, count: int, kills: int
) -> None:
    rng = random.Random(count)
    listed = [segment(number) for number in range(count)]
    plan, expected = planned(listed, rng)
    fake.plan(plan)
    write_segments(tmp_path / "list.csv", listed)
    for number in range(kills):
        with start(fake, folder, tmp_path / "list.csv") as child:
            target = (number + rng.random()) * count / kills
            wait_for(lambda: child.poll() is not None or len(fake.log()) >= target)  # noqa: B023
            child.send_signal(signal.SIGKILL)
    for _ in range(2):
        with start(fake, folder, tmp_path / "list.csv") as child:
            assert child.stdout is not None
            waiting, stopped = json.loads(child.stdout.read())
        assert stopped == ""

    segments = read_segments(tmp_path / "list.csv")
    ledger = read_ledger(folder)
    assert [ledger[s.youtube_id].state for s in segments] == expected
    assert waiting == expected.count(State.UNAVAILABLE)
    check_folder(folder, segments)
    # A kill loses at most the four concurrent attempts; final states are not retried.
    attempts = fake.attempts()
    spare = sum(
        max(0, attempts[s.youtube_id] - 1)
        for s, e in zip(segments, expected, strict=True)
        if e in GONE
    )
    limited = sum(number in plan["limits"] for number in range(len(fake.log())))
    assert spare <= 4 * kills + limited


@pytest.fixture(scope="module")
def tools() -> Tools:
    try:
        found = find_tools()
        check_tools(found)
    except SetupError as error:
        pytest.skip(str(error))
    return found


class TestRealYtDlp:
    """The real programs with a server on the loopback address."""

    @pytest.fixture
    def server(self) -> Iterator[FileServer]:
        with file_server() as running:
            yield running

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "a folder; $(touch x) %(id)s 'quoted'"

    @staticmethod
    def stairs(seconds: int) -> Samples:
        """A tone that steps up every second, so that its pitch identifies the second."""
        time_axis = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
        hertz = 300.0 + 50.0 * (time_axis.astype(int) % 60)
        return (0.4 * np.sin(2 * np.pi * hertz * time_axis)).astype(np.float32)

    @staticmethod
    def heard_seconds(path: Path) -> list[int]:
        """The step of the staircase in each tenth of a second of a file."""
        samples, rate = soundfile.read(path)
        blocks = samples[: len(samples) // 1600 * 1600].reshape(-1, 1600) * np.hanning(1600)
        peaks = np.abs(np.fft.rfft(blocks, 16 * 1600, axis=1)).argmax(axis=1)
        return [round((peak * rate / (16 * 1600) - 300) / 50) for peak in peaks]

    def encoded(self, tools: Tools, folder: Path, *options: str) -> bytes:
        """A minute of the staircase, encoded by ffmpeg."""
        source, target = folder / "stairs.wav", folder / "stairs"
        soundfile.write(source, self.stairs(60), SAMPLE_RATE)
        command = [str(tools.ffmpeg), "-v", "error", "-y", "-i", str(source), *options, str(target)]
        subprocess.run(command, check=True)
        return target.read_bytes()

    def run(
        self, server: FileServer, tools: Tools, folder: Path, segments: list[Segment]
    ) -> FetchReport:
        template = f"{server.address}/{{id}}"
        return fetch_segments(segments, folder, tools, pace=FAST, url_template=template)

    @pytest.mark.parametrize(
        "options",
        [
            ("-c:a", "libopus", "-f", "webm"),
            pytest.param(
                ("-c:a", "aac", "-movflags", "+faststart", "-f", "mp4"), marks=pytest.mark.slow
            ),
        ],
        ids=["webm", "m4a"],
    )
    def test_exactly_the_ten_seconds(
        self,
        server: FileServer,
        tools: Tools,
        folder: Path,
        tmp_path: Path,
        options: tuple[str, ...],
    ) -> None:
        server.put("-_aaaaaaaaa", self.encoded(tools, tmp_path, *options))
        wanted = [Segment("-_aaaaaaaaa", 23.5, 33.5, ("/t/dd00002",))]
        assert self.run(server, tools, folder, wanted) == FetchReport({State.DONE: 1}, waiting=0)
        samples, rate = soundfile.read(audio_path(folder, wanted[0]))
        assert (rate, samples.shape) == (16_000, (160_000,))
        heard = self.heard_seconds(audio_path(folder, wanted[0]))
        exact = [int(23.5 + (i + 0.5) / 10) for i in range(100)]
        # The tenth in which the pitch changes may be either step.
        assert sum(a != b for a, b in zip(heard, exact, strict=True)) <= 3
        assert [path.name for path in tmp_path.iterdir() if path.name == "x"] == []

    @pytest.mark.slow
    def test_the_start_of_a_video(
        self, server: FileServer, tools: Tools, folder: Path, tmp_path: Path
    ) -> None:
        server.put("--aaaaaaaaa", self.encoded(tools, tmp_path, "-c:a", "libopus", "-f", "webm"))
        wanted = [Segment("--aaaaaaaaa", 0.0, 9.0, ("/m/09x0r",))]
        assert self.run(server, tools, folder, wanted).states == {State.DONE: 1}
        assert self.heard_seconds(audio_path(folder, wanted[0]))[5::10] == list(range(9))

    @pytest.mark.slow
    def test_only_a_part_of_a_long_video_is_loaded(
        self, server: FileServer, tools: Tools, folder: Path, tmp_path: Path
    ) -> None:
        samples = np.tile(self.stairs(60), 40)
        soundfile.write(tmp_path / "long.wav", samples, SAMPLE_RATE)
        whole = (tmp_path / "long.wav").read_bytes()
        server.put("aaaaaaaaaa-", whole)
        wanted = [Segment("aaaaaaaaaa-", 2001.0, 2011.0, ("/t/dd00002",))]
        assert self.run(server, tools, folder, wanted).states == {State.DONE: 1}
        assert self.heard_seconds(audio_path(folder, wanted[0]))[5::10] == list(range(21, 31))
        assert server.bytes_sent < len(whole) / 2  # sockets buffer some megabytes

    @pytest.mark.slow
    def test_failures_as_they_come(
        self, server: FileServer, tools: Tools, folder: Path, tmp_path: Path
    ) -> None:
        webm = self.encoded(tools, tmp_path, "-c:a", "libopus", "-f", "webm")
        server.put("busy-------", webm, Fault(status=429))
        server.put("broken-----", webm, Fault(status=503))
        server.put("page-------", b"<html><title>no video</title></html>")
        server.put("cut--------", webm[: len(webm) // 3])
        ids = ("busy-------", "broken-----", "page-------", "cut--------", "gone-------")
        segments = [Segment(name, 30.0, 40.0, ("/t/dd00002",)) for name in ids]
        report = self.run(server, tools, folder, segments)
        ledger = read_ledger(folder)
        assert {name: ledger[name].state for name in ids} == {
            "busy-------": State.DONE,
            "broken-----": State.DONE,
            "page-------": State.NOT_UNDERSTOOD,
            "cut--------": State.BAD_MEDIA,
            "gone-------": State.REMOVED,
        }
        assert report.waiting == 2
        seen = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
        states = {(line["youtube_id"], line["state"]) for line in seen}
        assert ("busy-------", "rate-limited") in states
        assert ("broken-----", "network") in states
