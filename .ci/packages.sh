#!/bin/sh
# Debian packages without which tests skip (run as root): compilers and emulators for the firmware,
# a broker for MQTT, a linker and two engines for the web page. What cannot be installed does not keep the other from being tried.
set -u
cd "$(dirname "$0")/.."
failed=0
sh firmware/install-emulators.sh || failed=1
apt-get install --yes --no-install-recommends mosquitto || failed=1
apt-get install --yes --no-install-recommends lld nodejs chromium || failed=1
exit "$failed"
