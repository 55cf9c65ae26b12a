"""A fake yt-dlp that fails according to a plan. Standard library only, since it starts often.

    fake_ytdlp.py PLAN_FOLDER [yt-dlp's options] [-- URL]

`plan.json` maps an id to the outcomes of its attempts in order, then always "ok"; "limits" lists
the attempts, counted over all ids, that are rate-limited. `log` gets a line at the start of each
attempt, `ends` one at each success. Without a URL it says what it has, like yt-dlp: "has" in the
plan, by default everything.
"""

import array
import hashlib
import json
import os
import sys
import time
import wave
from pathlib import Path

RATE = 16_000
HAS = {
    "exe versions": "ffmpeg 7.0.2-static (setts)",
    "Optional libraries": "certifi-2026.10.18, yt_dlp_ejs-0.8.0",
    "JS runtimes": "deno-2.9.8",
}
LIMIT = "ERROR: [youtube] x: Unable to download webpage: HTTP Error 429: Too Many Requests"


def level(youtube_id: str) -> int:
    """The sample value that identifies a video's audio."""
    return int.from_bytes(hashlib.sha256(youtube_id.encode()).digest()[:2], "big") // 4 + 100


def count(path: Path) -> int:
    """Number of previous calls for `path`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, b".")
    return os.fstat(descriptor).st_size - 1


def note(path: Path, youtube_id: str) -> None:
    """Append a line: id, time, process."""
    with path.open("a") as log:
        log.write(f"{youtube_id} {time.time()} {os.getpid()}\n")


def write_audio(youtube_id: str, seconds: float) -> None:
    samples = array.array("h", [level(youtube_id)]) * int(seconds * RATE)
    with wave.open("audio.webm", "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(samples.tobytes())


def header(has: dict[str, str]) -> str:
    """What yt-dlp writes to standard error with --verbose and no URL."""
    lines = [f"[debug] {name}: {value}" for name, value in has.items()]
    return "\n".join([*lines, "", "yt-dlp: error: You must provide at least one URL."])


def main() -> None:
    folder = Path(sys.argv[1])
    plan = json.loads((folder / "plan.json").read_text())
    if "--" not in sys.argv:
        sys.exit(header(HAS | plan.get("has", {})))
    youtube_id = sys.argv[-1].rsplit("/", 1)[-1].removeprefix("watch?v=")
    note(folder / "log", youtube_id)
    if count(folder / "all") in plan.get("limits", []):
        sys.exit(LIMIT)
    outcomes = plan.get(youtube_id, [])
    turn = count(folder / f"count {youtube_id}")
    outcome = outcomes[turn] if turn < len(outcomes) else "ok"
    if outcome == "garbage":
        Path("audio.webm").write_bytes(b"<html>" * 100)
    elif outcome == "short":
        write_audio(youtube_id, 0.2)
    elif outcome == "hang":
        time.sleep(60)
    elif outcome == "die":
        os.abort()
    elif outcome.startswith("ERROR"):
        sys.exit(outcome)
    else:
        time.sleep(0.5 if outcome == "slow" else 0.0)
        write_audio(youtube_id, 1.0)
        note(folder / "ends", youtube_id)


if __name__ == "__main__":
    main()
