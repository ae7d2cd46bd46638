"""Sessions without a cookie keep to the tables of those with one: the same tests, of visitors who are known by a hash.

Left out is what is about the cookie itself, or about more visitors than two who look alike would be.
"""

from __future__ import annotations

from typing import cast

import pytest

from tests.doors.browser import Protocol, Site
from tests.doors.test_admission import (
    test_a_heartbeat_starts_no_session,
    test_a_page_view_is_a_navigation_to_html,
    test_after_an_end_the_next_request_of_any_kind_starts,
    test_excluded_paths_are_not_tracked,
    test_heartbeats_come_at_most_once_a_slot_and_never_in_the_first,
    test_what_is_switched_off_does_nothing,
)
from tests.doors.test_continuing import (
    test_a_clock_that_runs_back_does_not_prolong_a_session,
    test_a_first_page_and_its_parallel_fetches_are_one_session,
    test_a_request_is_activity_of_the_session_it_arrived_with,
    test_a_successors_record_carries_the_last_activity_of_the_old_session,
    test_events_keep_the_session_that_was_current,
    test_forty_minutes_of_304_responses_are_one_session,
    test_six_parallel_requests_with_one_stale_cookie_make_one_successor,
    test_the_end_is_the_last_activity_not_when_it_was_noticed,
    test_the_limit_that_passed_first_names_the_reason,
)
from tests.doors.test_identity import (
    test_a_callable_is_called_once_per_request,
    test_a_user_change_in_a_manual_session_makes_a_manual_one_with_an_id_of_ours,
    test_a_user_change_links_the_sessions_and_leaves_the_old_its_user,
    test_after_end_session_nothing_is_linked_or_carried,
    test_an_idle_successor_belongs_to_the_same_user,
    test_current_session_shows_what_the_request_will_be,
    test_explicit_users,
    test_keeping_the_session_at_a_user_change,
    test_principals,
    test_principals_from_the_apps_own_callable,
    test_starting_twice_in_one_request,
)
from tests.doors.test_logouts import (
    test_a_logout_is_counted_once_however_it_is_done,
    test_change_of_user_within_the_session_is_a_logout,
    test_direct_change_of_user_is_a_logout,
    test_idle_timeout_is_no_logout,
    test_later_sessions_and_their_ends_keep_the_count,
    test_session_that_begins_with_the_logout_ends_with_it,
)
from tests.doors.test_manual_sessions import (
    checkout,
    test_a_manual_session_takes_over_and_hands_back,
    test_a_number_and_its_text_are_the_same_id,
    test_a_reused_id_is_another_session_under_the_same_name,
    test_starting_in_a_running_session_ends_it_as_restarted_at_that_request,
)
from tests.doors.test_presence import (
    test_a_person_who_turns_pages_of_a_list_is_alive,
    test_a_poll_ends_with_its_page_and_starts_nothing,
    test_a_prefetch_is_no_page_view_no_activity_and_starts_nothing,
    test_a_single_page_app_in_use_is_alive_and_starts_the_next_session,
    test_other_settings_take_every_request_for_a_sign,
    test_passive_requests_are_counted_as_requests_of_a_running_session,
    test_polls_after_a_restart_of_all_workers_start_nothing,
    test_signs_of_a_person_keep_the_session_alive,
    test_which_calls_in_a_passive_request_are_signs_of_a_person,
    workers,
)
from tests.doors.test_transitions import (
    test_parallel_requests_that_change_to_the_same_user_make_one_session,
    test_transitions,
    walk,
)
from tests.doors.test_workers import (
    make_workers,
    test_a_poll_in_flight_elsewhere_writes_no_cookie_over_a_call,
    test_activity_whose_responses_carry_no_cookie_reaches_the_next_worker,
    test_an_opt_out_holds_at_every_worker_at_once,
)

__all__ = [
    "checkout",
    "make_workers",
    "test_a_callable_is_called_once_per_request",
    "test_a_clock_that_runs_back_does_not_prolong_a_session",
    "test_a_first_page_and_its_parallel_fetches_are_one_session",
    "test_a_heartbeat_starts_no_session",
    "test_a_logout_is_counted_once_however_it_is_done",
    "test_a_manual_session_takes_over_and_hands_back",
    "test_a_number_and_its_text_are_the_same_id",
    "test_a_page_view_is_a_navigation_to_html",
    "test_a_person_who_turns_pages_of_a_list_is_alive",
    "test_a_poll_ends_with_its_page_and_starts_nothing",
    "test_a_poll_in_flight_elsewhere_writes_no_cookie_over_a_call",
    "test_a_prefetch_is_no_page_view_no_activity_and_starts_nothing",
    "test_a_request_is_activity_of_the_session_it_arrived_with",
    "test_a_reused_id_is_another_session_under_the_same_name",
    "test_a_single_page_app_in_use_is_alive_and_starts_the_next_session",
    "test_a_successors_record_carries_the_last_activity_of_the_old_session",
    "test_a_user_change_in_a_manual_session_makes_a_manual_one_with_an_id_of_ours",
    "test_a_user_change_links_the_sessions_and_leaves_the_old_its_user",
    "test_activity_whose_responses_carry_no_cookie_reaches_the_next_worker",
    "test_after_an_end_the_next_request_of_any_kind_starts",
    "test_after_end_session_nothing_is_linked_or_carried",
    "test_an_idle_successor_belongs_to_the_same_user",
    "test_an_opt_out_holds_at_every_worker_at_once",
    "test_change_of_user_within_the_session_is_a_logout",
    "test_current_session_shows_what_the_request_will_be",
    "test_direct_change_of_user_is_a_logout",
    "test_events_keep_the_session_that_was_current",
    "test_excluded_paths_are_not_tracked",
    "test_explicit_users",
    "test_forty_minutes_of_304_responses_are_one_session",
    "test_heartbeats_come_at_most_once_a_slot_and_never_in_the_first",
    "test_idle_timeout_is_no_logout",
    "test_keeping_the_session_at_a_user_change",
    "test_later_sessions_and_their_ends_keep_the_count",
    "test_other_settings_take_every_request_for_a_sign",
    "test_parallel_requests_that_change_to_the_same_user_make_one_session",
    "test_passive_requests_are_counted_as_requests_of_a_running_session",
    "test_polls_after_a_restart_of_all_workers_start_nothing",
    "test_principals",
    "test_principals_from_the_apps_own_callable",
    "test_session_that_begins_with_the_logout_ends_with_it",
    "test_signs_of_a_person_keep_the_session_alive",
    "test_six_parallel_requests_with_one_stale_cookie_make_one_successor",
    "test_starting_in_a_running_session_ends_it_as_restarted_at_that_request",
    "test_starting_twice_in_one_request",
    "test_the_end_is_the_last_activity_not_when_it_was_noticed",
    "test_the_limit_that_passed_first_names_the_reason",
    "test_transitions",
    "test_what_is_switched_off_does_nothing",
    "test_which_calls_in_a_passive_request_are_signs_of_a_person",
    "walk",
    "workers",
]
"""What is run here, and the fixtures that it needs."""


@pytest.fixture(params=["asgi", "wsgi"])
def protocol(request: pytest.FixtureRequest) -> Protocol:
    return cast("Protocol", request.param)


@pytest.fixture(autouse=True)
def _cookieless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Site, "more", {"cookieless": "always"})
