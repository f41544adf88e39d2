-- An agent's own file is a template, which the operator gave, or a text, which is never read as one.
ALTER TABLE agents ADD COLUMN identity_text TEXT;
ALTER TABLE agents ADD COLUMN soul_text TEXT;

-- Until now a soul that was written through the coordinator was kept as a template: with template signs in it, between raw marks, its
-- own end marks taken apart. What is exactly of that form is the text between the marks, in whatever spelling it ends the block itself.
-- By bytes, because functions on characters stop at a NUL.
UPDATE agents
SET soul_text = replace(
    CAST(substr(CAST(soul_template AS BLOB), 10, length(CAST(soul_template AS BLOB)) - 21) AS TEXT),
    '{% endraw %}{{ ''{% endraw %}'' }}{% raw %}',
    '{% endraw %}'
)
WHERE length(CAST(soul_template AS BLOB)) >= 21
  AND substr(CAST(soul_template AS BLOB), 1, 9) = CAST('{% raw %}' AS BLOB)
  AND substr(CAST(soul_template AS BLOB), -12) = CAST('{% endraw %}' AS BLOB);

-- A template of the operator that only begins and ends like it.
UPDATE agents
SET soul_text = NULL
WHERE soul_text IS NOT NULL
  AND '{% raw %}' || replace(soul_text, '{% endraw %}', '{% endraw %}{{ ''{% endraw %}'' }}{% raw %}') || '{% endraw %}' <> soul_template;

-- Without template signs it is the same either way.
UPDATE agents
SET soul_text = soul_template
WHERE soul_text IS NULL
  AND instr(soul_template, '{{') = 0
  AND instr(soul_template, '{%') = 0
  AND instr(soul_template, '{#') = 0;

-- The revision moves, so that a process which read the record before does not write the old form back.
UPDATE agents
SET soul_template = NULL, revision = revision + 1
WHERE soul_text IS NOT NULL;
