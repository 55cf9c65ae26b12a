from hypothesis import given
from hypothesis import strategies as st

from crydistill.device.greedy import Lifetime, placed, total_bytes

lifetimes = st.lists(
    st.builds(
        lambda size, first, span: Lifetime(size, first, first + span),
        st.integers(1, 500), st.integers(0, 10), st.integers(0, 5),
    ),
    max_size=12,
)  # fmt: skip


def test_a_buffer_takes_the_lowest_gap_that_is_free_while_it_lives() -> None:
    long, early, late, small = (
        Lifetime(32, 0, 9), Lifetime(20, 0, 3), Lifetime(24, 4, 9), Lifetime(8, 2, 5),
    )  # fmt: skip
    plan = placed([long, early, late, small])
    assert [offset for _, offset in plan] == [0, 32, 32, 64]
    assert total_bytes(plan) == 72
    fixed = placed([late, small], [(long, 16)])
    assert [offset for _, offset in fixed] == [16, 48, 0]
    assert total_bytes([]) == 0


@given(lifetimes)
def test_what_lives_at_one_time_does_not_overlap(buffers: list[Lifetime]) -> None:
    plan = placed(buffers)
    assert [buffer for buffer, _ in plan] == buffers
    for number, (one, offset) in enumerate(plan):
        assert offset % 16 == 0
        for other, place in plan[:number]:
            if one.first <= other.last and other.first <= one.last:
                assert offset + one.size <= place or place + other.size <= offset
