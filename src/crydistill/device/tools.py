"""Run compilers, emulators and the programs they build."""

import shutil
import subprocess

from crydistill.errors import ConfigError

_TIMEOUT_SECONDS = 600


def require(*tools: str) -> None:
    """Check that tools are installed.

    Raises
    ------
    ConfigError
        naming what is missing.
    """
    if missing := sorted({tool for tool in tools if shutil.which(tool) is None}):
        raise ConfigError(
            f"this needs {', '.join(missing)}: install them with firmware/install-emulators.sh"
        )


def run(*command: str) -> str:
    """Run a tool; return what it prints.

    Raises
    ------
    ConfigError
        naming the tool and the first error it reported.
    """
    return run_raw(*command).decode("utf-8", errors="replace")


def run_raw(*command: str) -> bytes:
    """Run a tool; return the bytes it prints.

    Raises
    ------
    ConfigError
        as `run`.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"{command[0]}: timed out after {_TIMEOUT_SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        raise ConfigError(f"{command[0]} failed ({_reason(error)})") from error
    return done.stdout


def _reason(error: subprocess.CalledProcessError) -> str:
    said: str = error.stderr.decode("utf-8", errors="replace").strip()
    lines = said.splitlines() or [f"exit status {error.returncode}"]
    return next((line for line in lines if "error:" in line), lines[-1]).strip()
