import pytest

from crydistill.detector.stream_address import StreamAddress
from crydistill.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "shown", "password", "secret"),
    [
        ("rtsp://camera/live", "rtsp://camera", False, False),
        ("rtsp://me@camera:554/live", "rtsp://camera:554", False, False),
        ("rtsp://me:s3cr@camera:554/live", "rtsp://camera:554", True, True),
        ("rtsps://me:s3cr%40@[fe80::1]:322/a", "rtsps://[fe80::1]:322", True, True),
        ("http://camera/audio?user=me&pwd=s3cr", "http://camera", False, True),
        ("HTTPS://Radio.example/Stream", "https://radio.example", False, False),
    ],
)
def test_an_address_is_shown_without_its_secrets(
    text: str, shown: str, password: bool, secret: bool
) -> None:
    address = StreamAddress.parse(text)
    assert (str(address), address.password, address.secret) == (shown, password, secret)
    assert address.url == text.replace("HTTPS", "https")
    assert "s3cr" not in repr(address)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rtmp://me:s3cr@camera/live", "rtmp://' is none that can be listened to"),
        ("file:///etc/passwd", "file://' is none that can be listened to"),
        ("rtsp:///live", "no valid host name"),
        ("rtsp://me:s3cr@/live", "no valid host name"),
        ("rtsp://me:s3/cr@camera/live", "its port is not a number"),
        ("rtsp://me:s3cr@camera:99999/live", "its port is not a number"),
        ("rtsp://me:s3 cr@camera/live", "a blank or control character"),
        ("rtsp://me:s3cr@[camera]/live", ""),
        ("rtsp://me:s3cr@[::1/live", ""),
    ],
)
def test_what_is_no_address_is_refused_without_showing_its_password(text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as raised:
        StreamAddress.parse(text)
    message = str(raised.value)
    assert reason in message and "\n" not in message
    assert "s3" not in message and "me:" not in message
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("name", ["USB", "hw:1,0", "3", "-", "evening.wav", "", "/dev/x"])
def test_other_sources_are_no_addresses(name: str) -> None:
    assert not StreamAddress.looks_like(name)
