"""Microcontrollers: C export, self-test, and a student's memory, latency and board fit."""
