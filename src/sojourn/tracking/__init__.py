"""One request, from its facts to a record in the journal: sessions, users, consent."""
