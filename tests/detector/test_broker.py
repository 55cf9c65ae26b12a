import socket
import ssl
from pathlib import Path

import pytest

from crydistill.detector.broker import Broker, why_refused, why_silent, why_unreachable
from crydistill.detector.publishers import Publishers
from crydistill.errors import ConfigError


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("broker", Broker("broker", 1883)),
        ("broker.local:1884", Broker("broker.local", 1884)),
        ("192.168.1.5", Broker("192.168.1.5", 1883)),
        ("[::1]:1883", Broker("::1", 1883)),
        ("[fe80::1%eth0]", Broker("fe80::1%eth0", 1883)),
        ("ann@broker", Broker("broker", 1883, "ann")),
        ("mqtt://broker", Broker("broker", 1883)),
        ("mqtt://broker:1884/", Broker("broker", 1884)),
        ("MQTT://broker", Broker("broker", 1883)),
        ("mqtt://a%40b@broker", Broker("broker", 1883, "a@b")),
        ("mqtts://broker", Broker("broker", 8883, tls=True)),
        ("mqtts://ann@[2001:db8::1]:8884", Broker("2001:db8::1", 8884, "ann", tls=True)),
        ("münchen.local", Broker("münchen.local", 1883)),
    ],
)
def test_addresses(address: str, expected: Broker) -> None:
    assert Broker.parse(address) == expected


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("broker:", "the port must be a number from 1 to 65535"),
        ("broker:0", "the port must be a number from 1 to 65535"),
        ("broker:65536", "the port must be a number from 1 to 65535"),
        ("broker:mqtt", "the port must be a number from 1 to 65535"),
        ("[::1]:x", "the port must be a number from 1 to 65535"),
        ("broker:-1", "the port must be a number from 1 to 65535"),
        ("::1", "an IPv6 address stands in brackets"),
        ("fe80::1:1883", "an IPv6 address stands in brackets"),
        ("[::1", "Invalid IPv6 URL"),
        ("[::zz]", "'::zz' does not appear to be an IPv4 or IPv6 address"),
        ("", "there is no host name"),
        ("mqtt://", "there is no host name"),
        (":1883", "there is no host name"),
        ("http://broker", "'http' is no scheme for MQTT"),
        ("mqtt://broker/nursery", "there is more after the port"),
        ("broker?x=1", "there is more after the port"),
        ("bro ker", "a blank or control character"),
        ("broker\n", "a blank or control character"),
        ("a..b", "the host name is not valid"),
        ("x" * 64, "the host name is not valid"),
        ("mqtt://ann:secret@broker", "put it into CRYDISTILL_MQTT_PASSWORD"),
    ],
)
def test_what_is_no_address_is_one_line(address: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Broker.parse(address)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1 or "\n" in address


def test_a_password_is_not_shown() -> None:
    for address in ("mqtt://ann:secret@broker", "ann:secret@broker:x", "http://ann:sec:ret@b"):
        with pytest.raises(ConfigError) as caught:
            Broker.parse(address)
        assert "sec" not in str(caught.value) and caught.value.__suppress_context__


def test_the_document_has_the_lines_that_are_printed() -> None:
    text = (Path(__file__).parents[2] / "docs" / "home-assistant.md").read_text(encoding="utf-8")
    broker = Broker("BROKER")
    unknown = ssl.SSLCertVerificationError(1, "")
    unknown.verify_code, unknown.verify_message = 20, "unable to get local issuer certificate"
    for cause in (
        why_unreachable(broker, ConnectionRefusedError(111, "Connection refused")),
        why_unreachable(broker, socket.gaierror(-2, "Name or service not known")),
        why_unreachable(broker, unknown),
        why_unreachable(
            Broker("BROKER", tls=True), ConnectionResetError(104, "WRONG_VERSION_NUMBER")
        ),
        why_refused("Not authorized"),
        why_silent(broker),
    ):
        assert f"`{cause}`" in text
    publishers = Publishers("nursery")
    line = publishers.met({"instance": "a", "host": "pi", "process": 812})
    assert f"`{line}`" in text
    with pytest.raises(ConfigError) as caught:
        Broker.parse("::1")
    assert f"`{caught.value}`" in text


def test_a_user_is_given_once() -> None:
    assert Broker.parse("broker", user="ann").user == "ann"
    with pytest.raises(ConfigError, match="--mqtt-user gives another"):
        Broker.parse("ann@broker", user="bob")


def test_options_for_tls(tmp_path: Path) -> None:
    assert Broker.parse("broker", tls=True) == Broker("broker", 8883, tls=True)
    ca = tmp_path / "ca.crt"
    assert Broker.parse("broker:1883", ca=ca) == Broker("broker", 1883, tls=True, ca=ca)
    with pytest.raises(ConfigError, match=r"ca\.crt: cannot be read \(No such file"):
        Broker.parse("broker", ca=ca).ssl_context()
    ca.write_text("hello")
    with pytest.raises(ConfigError, match=r"ca\.crt: is no certificate in PEM form"):
        Broker.parse("broker", ca=ca).ssl_context()


def test_an_address_is_shown_as_it_can_be_written() -> None:
    assert str(Broker("::1", 1884)) == "[::1]:1884"
    assert str(Broker("broker")) == "broker:1883"


def test_causes_say_what_to_do() -> None:
    plain, secure = Broker("broker"), Broker("broker", 1883, tls=True)
    refused = why_unreachable(plain, ConnectionRefusedError(111, "Connection refused"))
    assert refused == "cannot be reached (Connection refused)"
    assert why_unreachable(plain, TimeoutError("timed out")) == "cannot be reached (timed out)"
    unknown = socket.gaierror(-2, "Name or service not known")
    assert why_unreachable(plain, unknown) == "cannot be reached (Name or service not known)"
    wrong = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    assert "is 1883 its port for TLS (usually 8883)?" in why_unreachable(secure, wrong)
    assert "CRYDISTILL_MQTT_PASSWORD" in why_refused("Not authorized")
    assert why_refused("Server unavailable") == "refuses the connection (Server unavailable)"
    assert "mqtts://" in why_silent(plain) and "mqtts://" not in why_silent(secure)
