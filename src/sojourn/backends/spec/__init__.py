"""The event spec that Segment wrote and RudderStack shares: what their encoders have in common."""
