"""An RTSP camera for tests: GStreamer's server, which plays a recording again and again.

    /usr/bin/python3 rtsp_server.py PORT SOUND [--codec alaw] [--video | --mute] [--user NAME:WORD]

SOUND is raw PCM: signed 16-bit, little-endian, mono, 16 kHz. The camera is at
rtsp://127.0.0.1:PORT/cry and begins the recording anew for each client: a pipeline that clients
share stays broken once one of them gave up while it was set up. It runs in the
system's Python, whose `gi` comes with Debian's gir1.2-gst-rtsp-server-1.0.
"""

import argparse
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

CODECS = {
    "alaw": "audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay",
    "aac": "audio/x-raw,rate=48000,channels=2 ! avenc_aac ! aacparse ! rtpmp4gpay",
    "opus": "audio/x-raw,rate=48000,channels=1 ! opusenc ! rtpopuspay",
    "pcm": "audio/x-raw,rate=16000,channels=1 ! rtpL16pay",
}
PCM = "rawaudioparse format=pcm pcm-format=s16le sample-rate=16000 num-channels=1"
VIDEO = (
    "videotestsrc ! video/x-raw,width=64,height=48,framerate=5/1,format=I420 ! jpegenc ! rtpjpegpay"
)


def pipeline(sound: str, codec: str, *, video: bool, mute: bool) -> str:
    """Description of the pipeline for GStreamer's parser."""
    parts = [VIDEO] if video or mute else []
    if not mute:
        parts.append(
            f"multifilesrc location={sound} loop=true ! {PCM} ! audioconvert ! audioresample ! "
            + CODECS[codec]
        )
    return f"( {' '.join(f'{part} name=pay{n}' for n, part in enumerate(parts))} )"


def protect(server: Any, factory: Any, user: str) -> None:
    """Ask for a user name and a password."""
    name, _, password = user.partition(":")
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(name, password), token)
    server.set_auth(auth)
    rights = "user,media.factory.access=(boolean)true,media.factory.construct=(boolean)true"
    factory.add_role_from_structure(Gst.Structure.from_string(rights)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a recording as an RTSP camera.")
    parser.add_argument("port")
    parser.add_argument("sound")
    parser.add_argument("--codec", choices=CODECS, default="alaw")
    parser.add_argument("--video", action="store_true", help="a picture, too")
    parser.add_argument("--mute", action="store_true", help="a picture and no sound")
    parser.add_argument("--user", help="NAME:PASSWORD that it asks for")
    given = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(given.port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(pipeline(given.sound, given.codec, video=given.video, mute=given.mute))
    if given.user:
        protect(server, factory, given.user)
    server.get_mount_points().add_factory("/cry", factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
