#!/bin/sh
# Install the tools for the firmware's tests on Debian (run as root). Tests skip what is missing.
set -eu
apt-get update
apt-get install --yes --no-install-recommends \
    gcc g++ libc6-dev make clang libclang-rt-dev \
    gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib qemu-system-arm \
    gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf \
    gcc-xtensa-lx106 qemu-system-misc
# The tools for which libraries are exported, and what Zephyr reads its modules with. The last is not
# in every release.
apt-get install --yes --no-install-recommends \
    cmake python3-kconfiglib python3-yaml \
    python3-pykwalify python3-dateutil python3-docopt python3-ruamel.yaml
apt-get install --yes --no-install-recommends arduino-builder
