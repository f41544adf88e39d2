-- Gateways and boards are named by people: a name belongs to one of them in its organization. The key is the name in Unicode lower
-- case, which SQLite can't make: the program fills it in for rows that have none, in the same transaction.
ALTER TABLE gateways ADD COLUMN name_key TEXT;
ALTER TABLE boards ADD COLUMN name_key TEXT;
CREATE UNIQUE INDEX one_gateway_per_name ON gateways (organization_id, name_key);
CREATE UNIQUE INDEX one_board_per_name ON boards (organization_id, name_key);
