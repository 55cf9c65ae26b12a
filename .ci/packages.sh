#!/bin/sh
# Debian packages without which tests skip (run as root): compilers and emulators for the firmware,
# a broker for MQTT, a linker and two engines for the web page, an RTSP server, systemd. What cannot be
# installed does not keep the other from being tried.
set -u
cd "$(dirname "$0")/.."
failed=0
sh firmware/install-emulators.sh || failed=1
apt-get install --yes --no-install-recommends mosquitto systemd || failed=1
apt-get install --yes --no-install-recommends lld nodejs chromium || failed=1
apt-get install --yes --no-install-recommends python3-gi gir1.2-gst-rtsp-server-1.0 \
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-libav || failed=1
exit "$failed"
