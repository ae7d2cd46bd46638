CREATE TABLE backends (
    name TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    read_seq INTEGER NOT NULL,
    recorded_before INTEGER NOT NULL,
    in_use_at INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    dead INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    retried INTEGER NOT NULL,
    retry_at INTEGER,
    failures INTEGER NOT NULL,
    problem TEXT,
    first_seq INTEGER NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE counters (
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE dead_letters (
    number INTEGER NOT NULL,
    backend TEXT NOT NULL,
    event_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    status INTEGER,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    requeued_at INTEGER,
    PRIMARY KEY (number)
);
CREATE TABLE events (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    time INTEGER NOT NULL,
    session_key TEXT NOT NULL,
    session_started_at INTEGER NOT NULL,
    is_manual BOOLEAN NOT NULL,
    no_forward BOOLEAN NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (id)
);
CREATE TABLE journals (
    id TEXT NOT NULL,
    position INTEGER NOT NULL,
    position_before INTEGER NOT NULL,
    recorded_until INTEGER NOT NULL,
    heard_at INTEGER NOT NULL,
    totals TEXT NOT NULL,
    is_gone BOOLEAN NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE leases (
    name TEXT NOT NULL,
    holder TEXT,
    token INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE meta (
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE sessions (
    "key" TEXT NOT NULL,
    session_id TEXT NOT NULL,
    visitor_id TEXT NOT NULL,
    is_manual BOOLEAN NOT NULL,
    started_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    activity TEXT NOT NULL,
    previous_key TEXT,
    previous_id TEXT,
    previous_reason TEXT,
    previous_seen_at INTEGER NOT NULL,
    sealed_at INTEGER,
    sealed_reason TEXT,
    sealed_seen_at INTEGER NOT NULL,
    end_reason TEXT,
    end_revision INTEGER NOT NULL,
    end_event_id TEXT,
    anchor INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    user_id TEXT,
    user_name TEXT,
    user_traits TEXT,
    user_at INTEGER NOT NULL,
    user_rid TEXT NOT NULL,
    is_user_explicit BOOLEAN NOT NULL,
    is_user_inherited BOOLEAN NOT NULL,
    is_tagged BOOLEAN NOT NULL,
    tagged_at INTEGER NOT NULL,
    tagged_rid TEXT NOT NULL,
    requests INTEGER NOT NULL,
    page_views INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    events INTEGER NOT NULL,
    late INTEGER NOT NULL,
    user_conflicts INTEGER NOT NULL,
    entry_path TEXT,
    referrer TEXT,
    user_agent TEXT,
    client_address TEXT,
    service_name TEXT,
    service_version TEXT,
    environment TEXT,
    origin_at INTEGER NOT NULL,
    origin_rid TEXT NOT NULL,
    no_forward BOOLEAN NOT NULL,
    properties TEXT,
    is_suppressed BOOLEAN NOT NULL,
    PRIMARY KEY ("key")
);
CREATE TABLE tombstones (
    hash TEXT NOT NULL,
    at INTEGER NOT NULL,
    is_for_good BOOLEAN NOT NULL,
    PRIMARY KEY (hash)
);
CREATE TABLE withheld (
    backend TEXT NOT NULL,
    session_key TEXT NOT NULL,
    PRIMARY KEY (backend, session_key)
);
CREATE INDEX ix_dead_letters_event ON dead_letters (event_id);
CREATE INDEX ix_dead_letters_requeued ON dead_letters (backend) WHERE requeued_at IS NOT NULL;
CREATE INDEX ix_events_session ON events (session_key);
CREATE INDEX ix_sessions_open_seen ON sessions (is_manual, last_seen_at) WHERE end_reason IS NULL;
CREATE INDEX ix_sessions_open_started ON sessions (started_at) WHERE end_reason IS NULL;
CREATE INDEX ix_sessions_previous ON sessions (previous_key) WHERE previous_key IS NOT NULL;
CREATE INDEX ix_sessions_started ON sessions (started_at);
CREATE INDEX ix_sessions_user ON sessions (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX ix_sessions_visitor ON sessions (visitor_id);
