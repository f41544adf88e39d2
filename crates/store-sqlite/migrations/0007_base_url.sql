-- Where the agents of a gateway reach the service that they belong to: in their files, and so the same in every run.
ALTER TABLE gateways ADD COLUMN base_url TEXT;
