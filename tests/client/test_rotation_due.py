"""A key is fetched again ahead of its expiry, or after its source changed; on a clock that the tests move."""

from __future__ import annotations

import pytest

from django_momento.client.rotation import INITIAL_BACKOFF, LOOK_EVERY, MAX_BACKOFF, NEVER, Rotation
from django_momento.exceptions import CredentialError
from tests.kit import rotating as fixtures
from tests.kit.clock import Clock
from tests.kit.rotating import HANG_GUARD, Holder, Source, landed, looked, make_rotation

clock, whole_pauses, source = fixtures.clock, fixtures.whole_pauses, fixtures.source
holder, rotation = fixtures.holder, fixtures.rotation


@pytest.fixture
def watching(clock: Clock, source: Source, holder: Holder) -> Rotation:
    """One whose source can be watched."""
    return make_rotation(source, holder, source.watch)


def test_without_an_expiry_or_a_watch_nothing_is_ever_due(rotation: Rotation) -> None:
    """A call then costs one comparison."""
    assert NEVER == rotation.due_at


@pytest.mark.parametrize(
    ("lasts", "ahead"),
    [(100.0, 20.0), (3000.0, 600.0), (86400.0, 600.0)],
    ids=["a fifth", "ten minutes", "at most ten minutes"],
)
def test_a_key_is_due_ahead_of_its_expiry(
    clock: Clock, whole_pauses: None, holder: Holder, lasts: float, ahead: float
) -> None:
    """In the background: no call waits, and none is refused."""
    source = Source(expires_at=clock.now + lasts)
    rotation = make_rotation(source, holder)
    assert pytest.approx(clock.now + lasts - ahead) == rotation.due_at
    source.change("new", expires_at=clock.now + 2 * lasts)
    clock.advance(lasts - ahead - 0.01)
    looked(rotation, clock)
    assert 0 == source.fetches
    clock.advance(0.02)
    looked(rotation, clock)
    landed(rotation)
    assert (1, ["old", "new"]) == (source.fetches, holder.keys)
    assert rotation.due_at > clock.now + INITIAL_BACKOFF


def test_the_time_ahead_is_drawn(clock: Clock, holder: Holder) -> None:
    """A fleet that got its key together does not refresh it together."""
    source = Source(expires_at=clock.now + 86400)
    due = {make_rotation(source, holder).due_at for _ in range(100)}
    assert clock.now + 86400 - 600 <= min(due) < max(due) <= clock.now + 86400 - 300


def test_a_key_that_has_expired_is_due_at_once(clock: Clock, holder: Holder) -> None:
    """As where a secret was not rotated in time; until it is, it is asked for more and more rarely."""
    source = Source(expires_at=clock.now - 1000)
    rotation = make_rotation(source, holder)
    assert clock.now >= rotation.due_at
    for _ in range(600):
        looked(rotation, clock)
        landed(rotation)
        clock.advance(0.1)
    assert 4 <= source.fetches <= 7
    source.change("new", expires_at=clock.now + 86400)
    clock.advance(MAX_BACKOFF)
    looked(rotation, clock)
    landed(rotation)
    assert (["old", "new"], True) == (holder.keys, rotation.due_at > clock.now + 80000)


def test_an_expiry_that_was_put_off_is_believed(clock: Clock, source: Source, holder: Holder) -> None:
    """The same key with a later expiry is no new key, but is not due any more either."""
    source.change("old", expires_at=clock.now + 10)
    rotation = make_rotation(source, holder)
    source.change("old", expires_at=clock.now + 86400)
    clock.advance(9.9)
    looked(rotation, clock)
    landed(rotation)
    assert (1, 0, ["old"]) == (source.fetches, rotation.replaced, holder.keys)
    assert rotation.due_at > clock.now + 80000


def test_while_a_key_is_fetched_in_the_background_no_call_looks(
    clock: Clock, source: Source, holder: Holder
) -> None:
    """Thousands of calls pass by meanwhile, and none of them waits or asks again."""
    source.change("old", expires_at=clock.now + 10)
    rotation = make_rotation(source, holder)
    source.answering.clear()
    clock.advance(9.9)
    looked(rotation, clock)
    assert NEVER == rotation.due_at
    source.answering.set()
    landed(rotation)
    assert 1 == source.fetches
    assert clock.now < rotation.due_at < NEVER


def test_a_source_is_looked_at_once_a_second_at_most(
    watching: Rotation, source: Source, clock: Clock
) -> None:
    """However many calls there are; a source that does not change is not fetched."""
    source.looks = 0
    for _ in range(10_000):
        looked(watching, clock)
        clock.advance(0.001)
    assert source.looks <= 10 / LOOK_EVERY + 1
    assert 0 == source.fetches


def test_a_source_that_has_changed_is_fetched(
    watching: Rotation, source: Source, holder: Holder, clock: Clock
) -> None:
    """Within a second, in the background."""
    source.change("new")
    clock.advance(LOOK_EVERY)
    looked(watching, clock)
    landed(watching)
    assert (["old", "new"], 1) == (holder.keys, source.fetches)


def test_a_change_while_it_is_fetched_is_seen_again(
    watching: Rotation, source: Source, holder: Holder, clock: Clock
) -> None:
    """A file that is written twice in a row is read twice."""
    source.change("new")
    source.answering.clear()
    clock.advance(LOOK_EVERY)
    looked(watching, clock)
    assert source.begun.wait(HANG_GUARD)
    source.change("newer")
    source.answering.set()
    landed(watching)
    assert ["old", "new"] == holder.keys
    clock.advance(LOOK_EVERY)
    looked(watching, clock)
    landed(watching)
    assert (["old", "new", "newer"], 2) == (holder.keys, source.fetches)


def test_a_change_that_could_not_be_fetched_is_tried_again(
    watching: Rotation, source: Source, holder: Holder, clock: Clock
) -> None:
    """A file that was half written is read again after the cool-down, though it did not change since."""
    source.change("new")
    source.error = CredentialError("It is empty.")
    clock.advance(LOOK_EVERY)
    looked(watching, clock)
    landed(watching)
    source.error = None
    clock.advance(LOOK_EVERY)
    looked(watching, clock)
    landed(watching)
    assert (["old", "new"], 2) == (holder.keys, source.fetches)


def test_a_source_that_fails_is_asked_ever_more_rarely(
    watching: Rotation, source: Source, clock: Clock, whole_pauses: None
) -> None:
    """A throttled or broken Secrets Manager gets a bounded number of calls, and the key stays."""
    source.error = CredentialError("ThrottlingException.")
    source.change("new")
    for _ in range(36_000):
        looked(watching, clock)
        watching.refresh("tests")
        landed(watching)
        clock.advance(0.1)
    # An hour: a minute until the pauses are at their longest, then one a minute.
    assert source.fetches <= 66
