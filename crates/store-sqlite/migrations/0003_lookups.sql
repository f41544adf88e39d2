-- What is asked for often, or grows without end.
CREATE INDEX agents_by_deadline ON agents (checkin_deadline_at) WHERE checkin_deadline_at IS NOT NULL;
CREATE INDEX runs_by_agent ON runs (agent_id, started_at);
CREATE INDEX runs_by_end ON runs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX activities_by_agent ON activities (agent_id, id) WHERE agent_id IS NOT NULL;
CREATE INDEX activities_by_board ON activities (board_id, id) WHERE board_id IS NOT NULL;
CREATE INDEX activities_by_time ON activities (at);
