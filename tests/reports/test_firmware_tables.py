"""Tables of the C library's costs."""

import pytest

from crydistill.reports.firmware_tables import firmware_table


def record() -> dict[str, object]:
    core = {
        "instructions": {
            "front_end_per_second": 5_000_000,
            "network_per_window": 4_800_000,
            "score_per_window": 0,
            "vote_per_window": 0,
        },
        "bytes": dict.fromkeys(
            ("code", "libm", "tables", "student", "arena", "state", "stack"), 1_234
        ),
    }
    student = {"name": "s", "sha256": "ab" * 32, "macs": 1_171_072}
    return {"student": student, "cores": {"one": core, "two": core}}


def test_instructions() -> None:
    text = firmware_table("instructions", record())
    assert "| one | 5,000,000 | 4,800,000 | 0 | 0 | 4.10 | 15.0 |" in text
    assert text.endswith(
        "Student ababababab, 1,171,072 multiply-accumulates (products) per window."
    )


def test_memory() -> None:
    assert f"| two |{' 1,234 |' * 7}" in firmware_table("memory", record())


def test_no_other_table() -> None:
    with pytest.raises(KeyError):
        firmware_table("speed", record())
