-- The first schema that Sojourn had in PostgreSQL (3), as it was made then. Never changes.
CREATE SCHEMA sojourn;
SET search_path = sojourn;

CREATE TABLE backends (
    name TEXT COLLATE "C" NOT NULL,
    cursor BIGINT NOT NULL,
    read_seq BIGINT NOT NULL,
    recorded_before BIGINT NOT NULL,
    in_use_at BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    dead BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    dropped BIGINT NOT NULL,
    retried BIGINT NOT NULL,
    retry_at BIGINT,
    failures BIGINT NOT NULL,
    problem TEXT COLLATE "C",
    first_seq BIGINT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE counters (
    name TEXT COLLATE "C" NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE dead_letters (
    number BIGSERIAL NOT NULL,
    backend TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    status SMALLINT,
    at BIGINT NOT NULL,
    event TEXT COLLATE "C" NOT NULL,
    requeued_at BIGINT,
    PRIMARY KEY (number)
);
CREATE TABLE events (
    seq BIGSERIAL NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    time BIGINT NOT NULL,
    session_key TEXT COLLATE "C" NOT NULL,
    session_started_at BIGINT NOT NULL,
    is_manual BOOLEAN NOT NULL,
    no_forward BOOLEAN NOT NULL,
    data TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (seq),
    UNIQUE (id)
);
CREATE TABLE journals (
    id TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    position_before BIGINT NOT NULL,
    recorded_until BIGINT NOT NULL,
    heard_at BIGINT NOT NULL,
    totals TEXT COLLATE "C" NOT NULL,
    is_gone BOOLEAN NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE leases (
    name TEXT COLLATE "C" NOT NULL,
    holder TEXT COLLATE "C",
    token BIGINT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE meta (
    name TEXT COLLATE "C" NOT NULL,
    value BYTEA NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE sessions (
    key TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    visitor_id TEXT COLLATE "C" NOT NULL,
    is_manual BOOLEAN NOT NULL,
    started_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    activity TEXT COLLATE "C" NOT NULL,
    previous_key TEXT COLLATE "C",
    previous_id TEXT COLLATE "C",
    previous_reason TEXT COLLATE "C",
    previous_seen_at BIGINT NOT NULL,
    sealed_at BIGINT,
    sealed_reason TEXT COLLATE "C",
    sealed_seen_at BIGINT NOT NULL,
    end_reason TEXT COLLATE "C",
    end_revision BIGINT NOT NULL,
    end_event_id TEXT COLLATE "C",
    anchor BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    user_id TEXT COLLATE "C",
    user_name TEXT COLLATE "C",
    user_traits TEXT COLLATE "C",
    user_at BIGINT NOT NULL,
    user_rid TEXT COLLATE "C" NOT NULL,
    is_user_explicit BOOLEAN NOT NULL,
    is_user_inherited BOOLEAN NOT NULL,
    is_tagged BOOLEAN NOT NULL,
    tagged_at BIGINT NOT NULL,
    tagged_rid TEXT COLLATE "C" NOT NULL,
    requests BIGINT NOT NULL,
    page_views BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    events BIGINT NOT NULL,
    late BIGINT NOT NULL,
    user_conflicts BIGINT NOT NULL,
    entry_path TEXT COLLATE "C",
    referrer TEXT COLLATE "C",
    user_agent TEXT COLLATE "C",
    client_address TEXT COLLATE "C",
    service_name TEXT COLLATE "C",
    service_version TEXT COLLATE "C",
    environment TEXT COLLATE "C",
    origin_at BIGINT NOT NULL,
    origin_rid TEXT COLLATE "C" NOT NULL,
    no_forward BOOLEAN NOT NULL,
    properties TEXT COLLATE "C",
    is_suppressed BOOLEAN NOT NULL,
    PRIMARY KEY (key)
);
CREATE TABLE tombstones (
    hash TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    is_for_good BOOLEAN NOT NULL,
    PRIMARY KEY (hash)
);
CREATE TABLE withheld (
    backend TEXT COLLATE "C" NOT NULL,
    session_key TEXT COLLATE "C" NOT NULL,
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
INSERT INTO meta (name, value) VALUES ('schema_version', '3'), ('store_key', decode(repeat('ab', 32), 'hex'));
