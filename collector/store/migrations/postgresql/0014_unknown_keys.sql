-- Signature blocks of which no certificate was known as they came: looked for every hour, few of many.
CREATE INDEX signature_blocks_unknown ON signature_blocks (epoch_id, key) WHERE outcome = 1;
