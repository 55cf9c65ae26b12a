"""Post every alert to an address: python webhook.py SOURCE URL

SOURCE is a recording here; with `microphone_blocks` in place of `file_blocks` it is a microphone.
What is posted is the JSON that `crydistill listen` prints. A server that is slow or down delays
nothing: posts wait in a thread of their own, and one that fails is said and dropped.
"""

import json
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from crydistill.detector.live import Listener, LiveEvent, listen
from crydistill.detector.settings import vote_settings
from crydistill.detector.sources import file_blocks, in_background
from crydistill.student.packaged import packaged_student
from crydistill.student.runtime import TfliteStudent

TIMEOUT_SECONDS = 10


def post(url: str, event: LiveEvent) -> None:
    """Send an event; say so if that fails."""
    body = json.dumps(event.to_json()).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
            pass
    except OSError as error:
        print(f"{url}: {error}; '{event.kind.value}' was not delivered", file=sys.stderr)


def main(source: str, url: str) -> None:
    student = TfliteStudent.load(packaged_student())
    listener = Listener(student, vote_settings(student.manifest, "balanced"))
    with ThreadPoolExecutor(1) as posts:
        listen(
            lambda: in_background(lambda: file_blocks(source)),
            listener,
            emit=lambda event: posts.submit(post, url, event),
            say=lambda line: print(line, file=sys.stderr),
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
