"""Recording and delivery: what happens to a record after its request has gone. Nothing here runs on the request path,
save the journal's append."""
