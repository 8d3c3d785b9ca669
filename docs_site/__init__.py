"""The documentation's site: `docs/` as it stands, each workflow's own page, and a reference made from the code."""
