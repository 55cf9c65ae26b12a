"""Tell apart what this process publishes from what another does."""

from crydistill.detector.publishers import Publishers


def test_another_may_say_who_it_is_before_it_is_reported() -> None:
    publishers = Publishers("nursery")
    publishers.alerts_sent = 1
    assert publishers.alert_seen(settled=False) is None  # its own
    assert publishers.alert_seen(settled=False) is None  # another's, which goes on to say:
    line = publishers.met({"instance": "a", "host": "shelf", "process": 7})
    assert line is not None and "another crydistill (process 7 on shelf)" in line
    assert publishers.alert_seen(settled=True) is None
    assert publishers.met({"instance": "a", "host": "shelf", "process": 7}) is None


def test_one_that_never_says_is_reported_once() -> None:
    publishers = Publishers("nursery")
    assert publishers.alert_seen(settled=False) is None
    line = publishers.alert_seen(settled=True)
    assert line is not None and "another program" in line
    assert publishers.alert_seen(settled=True) is None
