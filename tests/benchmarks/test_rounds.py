from benchmarks.rounds import in_turn


def test_the_order_alternates() -> None:
    order = []
    ways = {name: lambda name=name: order.append(name) for name in "ABC"}
    measured = in_turn(ways, 3, warm=False)
    assert "".join(order) == "ABCCBAABC"
    assert {name: len(seconds) for name, seconds in measured.items()} == dict.fromkeys("ABC", 3)


def test_what_warms_up_is_not_counted() -> None:
    calls = []
    measured = in_turn({"A": lambda: calls.append(1)}, 2, clock=lambda work: work() or len(calls))
    assert measured == {"A": [2, 3]}
