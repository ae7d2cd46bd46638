"""A session as mParticle's library for Python uploads it; the argument is the fake's address."""

import sys

import mparticle

configuration = mparticle.Configuration()
configuration.api_key, configuration.api_secret = "FAKEKEY", "FAKESECRET"
configuration.host = f"{sys.argv[1]}/v2"
api = mparticle.EventsApi(configuration)

batch = mparticle.Batch()
batch.environment = "development"
batch.mp_deviceid = "6b1f6c2a-3a5e-4a58-8f0f-9a1d6d0c1e77"
batch.user_identities = mparticle.UserIdentities(customerid="anna")
batch.user_attributes = {"plan": "team"}
start = mparticle.SessionStartEvent()
start.session_uuid = "5F0C6C1E-0000-4000-8000-000000000001"
start.timestamp_unixtime_ms = 1769860800000
bought = mparticle.AppEvent("bought", "transaction")
bought.session_uuid = start.session_uuid
bought.timestamp_unixtime_ms = 1769860801000
bought.custom_attributes = {"sku": "A-17"}
end = mparticle.SessionEndEvent()
end.session_uuid = start.session_uuid
end.session_duration_ms = 5000
end.timestamp_unixtime_ms = 1769860805000
batch.events = [start, bought, end]
api.upload_events(batch)
api.bulk_upload_events([batch])
