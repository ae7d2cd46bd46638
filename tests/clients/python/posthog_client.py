"""A visit as PostHog's library for Python reports it; the argument is the fake's address."""

import sys

from posthog import Posthog, identify_context, new_context, set_context_session

SESSION = "019c13ec-9e00-7000-8000-000000000000"

client = Posthog("phc_FAKEKEY", host=sys.argv[1], gzip=True)
client.capture("seen", distinct_id="visitor-1", properties={"$process_person_profile": False})
client.alias("visitor-1", "anna")
client.set(distinct_id="anna", properties={"plan": "team"})
with new_context():
    identify_context("anna")
    set_context_session(SESSION)
    client.capture("bought", properties={"sku": "A-17"})
    try:
        raise LookupError("no such seed")
    except LookupError as error:
        client.capture_exception(error)
client.group_identify("company", "acme", {"seats": 7}, distinct_id="anna")
client.shutdown()
