import pytest

from exchanges.core.faults import Delivery, Fault, Faults, Kind, Planned, Sender, seeded_schedule


def test_a_fault_is_used_up_and_the_most_exact_one_is_taken() -> None:
    faults = Faults()
    faults.add(Fault(on="*", kind=Kind.SLOW))
    faults.add(Fault(on="POST /order", kind=Kind.LOST, times=2))
    taken = [faults.take("POST", "/order") for _ in range(3)] + [faults.take("GET", "/order")]
    assert [fault.kind for fault in taken if fault] == [Kind.LOST, Kind.LOST, Kind.SLOW, Kind.SLOW]
    faults.clear()
    assert faults.take("POST", "/order") is None


def test_a_fault_of_no_times_is_refused() -> None:
    with pytest.raises(ValueError, match="times: 0"):
        Faults().add(Fault(on="*", kind=Kind.SLOW, times=0))


@pytest.mark.parametrize(
    ("delivery", "heard"),
    [
        (Delivery(), "abc"),
        (Delivery(mute=True), ""),
        (Delivery(duplicate=True), "aabbcc"),
        (Delivery(swap=True), "bac"),
        (Delivery(swap=True, duplicate=True), "bbaac"),
    ],
)
def test_events_are_lost_doubled_and_swapped_as_delivery_says(delivery: Delivery, heard: str) -> None:
    sender = Sender(delivery)
    assert "".join([event for name in "abc" for event in sender.offer(name)] + sender.flush()) == heard


def test_a_seed_decides_a_schedule() -> None:
    menu = [Planned(at=0, do="cut", body={"which": "private"}), Planned(at=0, do="clear")]
    lines = seeded_schedule(5, 20, 3600, menu)
    assert lines == seeded_schedule(5, 20, 3600, menu)
    assert lines != seeded_schedule(6, 20, 3600, menu)
    assert {line.do for line in lines} == {"cut", "clear"}
    assert 120 < len(lines) < 240
    assert [line.at for line in lines] == sorted(line.at for line in lines)
    with pytest.raises(ValueError, match="something to do"):
        seeded_schedule(5, 20, 3600, [])
