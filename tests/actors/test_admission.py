"""Who comes into memory first, and how many."""

from atone.actors import Admission, Call, Limits


def line(**calls: list[int]) -> Admission:
    """Keys in line, for a window of ten with a reserve of two, in pages of four."""
    admission = Admission(Limits(window=10, reserve=2, page=4))
    for call, keys in calls.items():
        for key in keys:
            admission.want(key, Call[call])
    return admission


def take(admission: Admission, present: int) -> list[int]:
    """The keys of the next page."""
    return list(admission.take(present))


def test_requests_go_before_news_and_news_before_work() -> None:
    """Each sort in order of arrival, a page at a time."""
    admission = line(WORK=[1, 2], NEWS=[3, 4], REQUEST=[5])
    assert [take(admission, 0), take(admission, 0), take(admission, 0)] == [[5, 3, 4, 1], [2], []]


def test_a_crowd_that_is_called_leaves_a_place_in_each_page_to_work() -> None:
    """Otherwise new orders would wait for the last of a million messages."""
    admission = line(WORK=[1, 2], NEWS=[3, 4, 5, 6, 7, 8, 9])
    assert [take(admission, 0), take(admission, 0), take(admission, 0)] == [[3, 4, 5, 1], [6, 7, 8, 2], [9]]


def test_a_full_window_lets_in_whoever_is_called_up_to_the_reserve() -> None:
    """And requests up to twice that: neither long work nor many messages keep a cancel out."""
    admission = line(WORK=[1], NEWS=[2, 3, 4], REQUEST=[5, 6, 7])
    assert take(admission, 9) == [5, 6, 7]
    assert take(admission, 9) == [2, 3, 4], "with the last of them the window is more than full"
    assert take(admission, 10) == []
    assert len(admission) == 1


def test_the_reserve_is_bounded() -> None:
    """Memory is bounded whatever comes."""
    admission = line(WORK=[1], NEWS=[2, 3, 4], REQUEST=[5, 6, 7])
    assert take(admission, 11) == [5, 6, 7]
    assert take(admission, 11) == [2]
    admission = line(NEWS=[2], REQUEST=[5, 6, 7])
    assert take(admission, 12) == [5, 6]
    assert take(admission, 14) == []


def test_a_better_reason_moves_a_key_up() -> None:
    """And a worse one does not move it down; it comes in once."""
    admission = line(WORK=[1, 2], NEWS=[2], REQUEST=[3])
    admission.want(3, Call.WORK)
    admission.want(2, Call.NEWS)
    assert len(admission) == 3
    assert take(admission, 0) == [3, 2, 1]
    assert len(admission) == 0


def test_nobody_is_wanted_after_the_end() -> None:
    """The host has lost the store."""
    admission = line(WORK=[1], NEWS=[2], REQUEST=[3])
    admission.clear()
    assert take(admission, 0) == []
