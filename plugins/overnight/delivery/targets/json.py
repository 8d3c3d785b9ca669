"""One JSON file with every approved item, as the answer's own model has it."""

import json
from collections.abc import Mapping, Sequence

from overnight.delivery.target import Approved, Target


def make() -> "JsonTarget":
    """The target needs no settings."""
    return JsonTarget()


class JsonTarget(Target):
    """`items.json`: a list of {key, approver, approved_at, decision, output}."""

    def files(self, workflow: str, items: Sequence[Approved]) -> Mapping[str, bytes]:
        """One file, sorted keys, UTF-8."""
        rows = [
            {
                "key": i.key,
                "decision": i.decision,
                "approver": i.approver,
                "approved_at": i.approved_at.isoformat(),
                "output": i.output,
            }
            for i in items
        ]
        return {"items.json": (json.dumps(rows, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()}
