"""The address of an MQTT broker, how to verify it, and why a connection failed."""

import re
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

from crydistill.errors import ConfigError

PORT, TLS_PORT = 1883, 8883

# OpenSSL's codes, see "X509_STORE_CTX_get_error".
_UNKNOWN_AUTHORITY = (18, 19, 20, 21)
_OTHER_HOST = (62, 64)

_SCHEMES = ("mqtt", "mqtts")
_FORMS = "write HOST, HOST:PORT, mqtt://USER@HOST:PORT or mqtts://USER@HOST:PORT"


@dataclass(frozen=True)
class Broker:
    """Where to connect.

    port : default 1883, with TLS 8883
    user : user name, None to connect without
    tls : whether to encrypt the connection and verify the broker's certificate
    ca : file with the certificate of the authority that signed the broker's; None for the system's
        authorities

    Raises
    ------
    ConfigError
        if an address, of `parse`, or the authority's file cannot be used.

    Examples
    --------
    >>> Broker.parse("mqtts://nursery@[fe80::1]").host
    'fe80::1'
    >>> print(Broker.parse("broker.local:1884"))
    broker.local:1884
    >>> Broker.parse("broker:mqtt")
    Traceback (most recent call last):
        ...
    crydistill.errors.ConfigError: MQTT broker 'broker:mqtt': the port must be a number from 1 to \
65535
    """

    host: str
    port: int = PORT
    user: str | None = None
    tls: bool = False
    ca: Path | None = None

    @classmethod
    def parse(
        cls, address: str, *, user: str | None = None, tls: bool = False, ca: Path | None = None
    ) -> Self:
        """Read an address: HOST[:PORT], or a URL of scheme `mqtt` or `mqtts`.

        Parameters
        ----------
        user : user name, unless the address has one
        tls, ca : as in the class; a scheme `mqtts` or an authority's file mean TLS, too
        """
        try:
            url = _split(address)
            secure = tls or ca is not None or url.scheme == "mqtts"
            port = _port(url)
            found = _user(url, user)
            host = _host(url)
        except ValueError as error:
            shown = re.sub(r":[^/@]*@", ":...@", address)  # without the password
            raise ConfigError(f"MQTT broker '{shown}': {error}") from None
        return cls(host, port or (TLS_PORT if secure else PORT), found, secure, ca)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def ssl_context(self) -> ssl.SSLContext:
        """Verify the broker's certificate against the system's authorities, or against `ca`."""
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:  # SSLError is one
            reason = "is no certificate in PEM form"
            if not isinstance(error, ssl.SSLError):
                reason = f"cannot be read ({error.strerror})"
            raise ConfigError(f"{self.ca}: {reason}; the broker's CA certificate is needed") from (
                error
            )
        if self.ca is not None:
            # Certificates made at home rarely hold the key identifiers that RFC 5280 wants, and
            # Python from 3.13 on insists on; signature, name and dates are verified all the same.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


def why_unreachable(broker: Broker, error: BaseException | None) -> str:
    """What went wrong before the broker could answer, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message}){_advice(error)}"
    if broker.tls and isinstance(error, ssl.SSLError | ConnectionResetError):
        reason = getattr(error, "reason", None) or error.strerror or error
        return f"no TLS ({reason}); is {broker.port} its port for TLS (usually {TLS_PORT})?"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be reached ({error.strerror})"
    return f"cannot be reached ({error or 'no connection'})"


def why_refused(reason: str) -> str:
    """What a broker's refusal means, and what to do."""
    if reason.lower() in ("not authorized", "bad user name or password"):
        return (
            f"refuses the user ({reason}); check the user name and the password in "
            "CRYDISTILL_MQTT_PASSWORD"
        )
    return f"refuses the connection ({reason})"


def why_silent(broker: Broker) -> str:
    """What it may mean that a broker hung up before it answered."""
    if broker.tls:
        return "closed the connection before it answered"
    return "closed the connection before it answered; if it expects TLS, write mqtts://"


def _advice(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return "; name the file of the CA that signed it with --mqtt-ca"
    if error.verify_code in _OTHER_HOST:
        return "; connect to a name that stands in the certificate"
    return ""


def _split(address: str) -> SplitResult:
    if re.search(r"[\s\x00-\x1f]", address):
        raise ValueError("it has a blank or control character in it")
    url = urlsplit(address if "://" in address else f"mqtt://{address}")
    if url.scheme not in _SCHEMES:
        raise ValueError(f"'{url.scheme}' is no scheme for MQTT; {_FORMS}")
    if url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError(f"there is more after the port; {_FORMS}")
    if url.password is not None:
        raise ValueError(
            "a password on the command line can be read by other users of this machine; "
            "put it into CRYDISTILL_MQTT_PASSWORD"
        )
    return url


def _port(url: SplitResult) -> int | None:
    where = url.netloc.rpartition("@")[2]
    if where.count(":") > 1 and not where.startswith("["):
        raise ValueError("an IPv6 address stands in brackets: [::1] or [::1]:1883")
    try:
        port = url.port
    except ValueError:
        port = 0
    if port == 0 or where.endswith(":"):
        raise ValueError("the port must be a number from 1 to 65535")
    return port


def _user(url: SplitResult, user: str | None) -> str | None:
    if user is not None and url.username is not None:
        raise ValueError("it has a user name, and --mqtt-user gives another")
    return unquote(url.username) if url.username else user


def _host(url: SplitResult) -> str:
    host = url.hostname or ""
    if url.netloc.rpartition("@")[2].startswith("["):
        ip_address(host)  # its message names the address
        return host
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise ValueError("the host name is not valid") from error
    if not re.fullmatch(r"[\w.-]+", host):
        raise ValueError(f"there is no host name in it; {_FORMS}")
    return host
