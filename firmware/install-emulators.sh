#!/bin/sh
# Install the tools for the firmware's tests on Debian (run as root). Tests skip what is missing.
set -eu
apt-get update
apt-get install --yes --no-install-recommends \
    gcc g++ libc6-dev make clang libclang-rt-dev \
    gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm \
    gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf \
    gcc-xtensa-lx106 qemu-system-misc
