#!/bin/sh
# Build the wheel that the container files install, into a folder of its own:
#
#     sh deploy/build-wheel.sh deploy/wheels
#     sh deploy/build-wheel.sh deploy/home-assistant/crydistill/wheels
set -eu
folder=${1:?write the folder for the wheel}
root=$(cd "$(dirname "$0")/.." && pwd)
rm -f "$folder"/crydistill-*.whl
"${PYTHON:-python3}" -m pip wheel --quiet --no-deps --wheel-dir "$folder" "$root"
ls "$folder"/crydistill-*.whl
