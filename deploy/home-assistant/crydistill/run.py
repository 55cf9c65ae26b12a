#!/usr/bin/env python3
"""Start `crydistill listen` with the add-on's options.

Home Assistant's supervisor writes the options to /data/options.json and tells the broker of its
MQTT add-on at http://supervisor/services/mqtt. Passwords go on in the environment, never in the
command line.
"""

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("ADDON_DATA", "/data"))
SHARE = Path(os.environ.get("ADDON_SHARE", "/share"))
SUPERVISOR = os.environ.get("ADDON_SUPERVISOR", "http://supervisor")
PASSED_ON = ("preset", "threshold", "votes", "hold", "patience", "night_hours")


def supervisors_broker() -> dict[str, Any]:
    """Host, port, user name and so on of Home Assistant's own broker; empty if there is none."""
    token = os.environ.get("SUPERVISOR_TOKEN", "")
    request = urllib.request.Request(
        f"{SUPERVISOR}/services/mqtt", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            found = json.load(answer).get("data")
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("host") else {}


def command(options: dict[str, Any], broker: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    """Words of the command line, and variables of the environment, which hold what is secret."""
    words = ["crydistill", "listen"]
    secret = {}
    for name in PASSED_ON:
        # A settings file brings its own operating point.
        if options.get(name) not in (None, "") and not (
            name == "preset" and options.get("settings")
        ):
            words += [f"--{name.replace('_', '-')}", str(options[name])]
    if options.get("settings"):
        words += ["--settings", str(SHARE / options["settings"])]
    words += ["--nights", str(SHARE / "crydistill" / "nights")]
    if options.get("clips"):
        words += ["--clips", str(SHARE / "crydistill" / "clips")]
    address, user, password = mqtt(options, broker)
    if address:
        words += ["--mqtt", address, "--mqtt-id", options["mqtt_id"]]
        words += ["--mqtt-user", user] if user else []
        secret |= {"CRYDISTILL_MQTT_PASSWORD": password} if password else {}
    if options.get("stream"):
        secret["CRYDISTILL_STREAM"] = options["stream"]
    elif options.get("source"):
        words += ["--", options["source"]]
    return words, secret


def mqtt(options: dict[str, Any], broker: dict[str, Any]) -> tuple[str, str, str]:
    """Address, user name and password of the broker in the options, else of Home Assistant's."""
    if options.get("mqtt"):
        found = (options[key] if options.get(key) else "" for key in ("mqtt_user", "mqtt_password"))
        return options["mqtt"], *found
    if not broker:
        return "", "", ""
    scheme = "mqtts" if broker.get("ssl") else "mqtt"
    host = f"[{broker['host']}]" if ":" in broker["host"] else broker["host"]
    address = f"{scheme}://{host}:{broker.get('port', 1883)}"
    return address, broker.get("username") or "", broker.get("password") or ""


def main() -> None:
    options = json.loads((DATA / "options.json").read_text(encoding="utf-8"))
    broker = {} if options.get("mqtt") else supervisors_broker()
    words, secret = command(options, broker)
    if "--mqtt" not in words:
        print("no MQTT broker: alerts are in this log only", file=sys.stderr, flush=True)
    os.execvpe(words[0], words, {**os.environ, **secret})


if __name__ == "__main__":
    main()
