"""What every store must keep to for the salts of days."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sojourn.stores.protocol import Store

from .steps import DAY, NOW


class SaltsContract:
    """Part of `StoreContract`, which has the fixture."""

    def test_the_first_salt_proposed_for_a_day_is_its_salt(self, store: Store) -> None:
        first, second = bytes(range(32)), bytes(32)
        assert store.salts.of_day(NOW, until=NOW + DAY, proposed=first) == first
        assert store.salts.of_day(NOW, until=NOW + DAY, proposed=second) == first
        assert store.salts.of_day(NOW + DAY, until=NOW + 2 * DAY, proposed=second) == second

    def test_hosts_that_propose_at_once_get_one_salt(self, store: Store) -> None:
        start = Barrier(4)

        def propose(host: int) -> bytes:
            start.wait(10)
            return store.salts.of_day(NOW, until=NOW + DAY, proposed=bytes([host]) * 32)

        with ThreadPoolExecutor(4) as hosts:
            assert len(set(hosts.map(propose, range(4)))) == 1

    def test_a_salt_whose_time_is_over_is_gone(self, store: Store) -> None:
        old, new = b"o" * 32, b"n" * 32
        store.salts.of_day(NOW, until=NOW + DAY, proposed=old)
        store.salts.of_day(NOW + DAY, until=NOW + 2 * DAY, proposed=new)
        store.salts.forget(now=NOW + DAY - 1)
        assert store.salts.of_day(NOW, until=NOW + DAY, proposed=new) == old
        store.salts.forget(now=NOW + DAY)
        assert store.salts.of_day(NOW, until=NOW + DAY, proposed=new) == new
        assert store.salts.of_day(NOW + DAY, until=NOW + 2 * DAY, proposed=old) == new
