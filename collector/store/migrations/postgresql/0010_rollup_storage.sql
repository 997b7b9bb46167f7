-- What waits for a roll-up is packed numbers, read once and soon deleted: to compress it cost an
-- eighth of the server's time (docs/decisions/0106).
ALTER TABLE rollup_batches ALTER COLUMN body SET STORAGE EXTERNAL;
