"""Every type of event of RudderStack's library for Python; the argument is the fake's address."""

import sys

import rudderstack.analytics as rudder

rudder.write_key = "FAKEKEY"
rudder.dataPlaneUrl = sys.argv[1]
rudder.on_error = lambda error, batch: sys.exit(f"refused: {error}")
rudder.identify("anna", {"plan": "team"})
rudder.track("anna", "bought", {"sku": "A-17"}, context={"sessionId": 1769860800000, "sessionStart": True})
rudder.page("anna", "shop", "basket", {"path": "/basket"})
rudder.screen("anna", "shop", "basket")
rudder.group("anna", "acme", {"seats": 7})
rudder.alias("visitor-1", "anna")
rudder.track(anonymous_id="visitor-1", event="seen")
rudder.shutdown()
