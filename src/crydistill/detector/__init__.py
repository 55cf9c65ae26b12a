"""From window scores to alerts in the night."""
