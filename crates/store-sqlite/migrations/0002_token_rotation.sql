-- While a token is being changed, the old and the new one are both good.
ALTER TABLE agents ADD COLUMN next_token_hash TEXT;
