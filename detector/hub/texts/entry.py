"""Words about coming in: people, roles, tokens, the audit log."""

ZH: dict[str, str] = {}

EN: dict[str, str] = {}
