-- The prefixes of each ISP's customers, a JSON array (docs/decisions/0086).
ALTER TABLE registry_isps ADD COLUMN prefixes text NOT NULL DEFAULT '[]';
