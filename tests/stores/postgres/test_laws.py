"""The laws of every store, in PostgreSQL."""

from __future__ import annotations

import itertools

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from sojourn.stores import Store, open_store
from tests.postgres import Cluster
from tests.stores.test_store_laws import StoreMachine


def test_the_laws_of_a_store_hold(postgres: Cluster) -> None:
    url = postgres.fresh_database()
    numbers = itertools.count()

    class Machine(StoreMachine):
        def make_store(self) -> Store:
            return open_store(f"{url}?schema=example_{next(numbers)}")

    run_state_machine_as_test(Machine, settings=settings(max_examples=25, stateful_step_count=30, deadline=None))
