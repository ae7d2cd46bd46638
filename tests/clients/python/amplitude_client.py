"""Every type of event of Amplitude's library for Python; the argument is the fake's address."""

import sys

from amplitude import Amplitude, BaseEvent, EventOptions, Identify, Revenue

refused = []
client = Amplitude("FAKEKEY")
client.configuration.server_url = f"{sys.argv[1]}/2/httpapi"
client.configuration.min_id_length = 1
client.configuration.callback = lambda event, code, message: code == 200 or refused.append(message)
who = {"user_id": "anna", "device_id": "visitor-1"}
client.track(BaseEvent("seen", device_id="visitor-1"))
client.track(BaseEvent("bought", session_id=1769860800000, event_properties={"sku": "A-17"}, **who))
identify = Identify()
identify.set("plan", "team")
client.identify(identify, EventOptions(**who))
client.revenue(Revenue(price=3.5, quantity=2, product_id="A-17"), EventOptions(**who))
client.group_identify("company", "acme", identify, EventOptions(**who))
client.shutdown()
sys.exit(f"refused: {refused}" if refused else 0)
