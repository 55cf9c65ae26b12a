"""Turn window scores into alerts: voting, calibration, recordings, live audio and MQTT."""
