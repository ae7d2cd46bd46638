"""Every type of event of Segment's library for Python; the argument is the fake's address."""

import sys

from segment import analytics

SESSION = {"Actions Amplitude": {"session_id": 1769860800000}}

analytics.write_key = "FakeKeyOfSegmentOf32Characters00"
analytics.host = sys.argv[1]
analytics.gzip = True
analytics.on_error = lambda error, batch: sys.exit(f"refused: {error}")
analytics.identify("anna", {"plan": "team"})
analytics.track("anna", "bought", {"sku": "A-17"}, integrations=SESSION)
analytics.page("anna", "shop", "basket", {"path": "/basket"})
analytics.screen("anna", "shop", "basket")
analytics.group("anna", "acme", {"seats": 7})
analytics.alias("visitor-1", "anna")
analytics.track(anonymous_id="visitor-1", event="seen")
analytics.shutdown()
