"""Names in a line for a terminal."""

from crydistill.printable import printable


def test_a_name_never_moves_the_cursor() -> None:
    assert printable("a\x1b[2Jb\nc\u2028.wav") == "a\\x1b[2Jb\\nc\\u2028.wav"


def test_bytes_that_are_not_utf_8() -> None:
    assert printable("b\udce9b\udce9.wav") == "b\\udce9b\\udce9.wav"


def test_a_name_in_any_language_stays() -> None:
    name = "Aufnahme 3\u202f夜 👨\u200d👩\u200d👧.m4a"
    assert printable(name) == name
