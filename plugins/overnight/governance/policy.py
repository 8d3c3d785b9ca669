"""The policy of a workflow: what it may read, what it may do, who must say yes. Deny by default.

A YAML file beside the prompt, validated here; its hash goes into every audit record, so a record says under which rules
a thing was done.
"""

import hashlib
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from overnight.brand import include_dir

Verb = Literal[
    "read_queue", "submit_batch", "read_batch", "validate", "write_staging", "write_review_export",
    "read_decisions", "write_delivery", "write_metrics", "append_audit", "send_alert",
]  # fmt: skip
"""The closed list of what an overnight agent may ever do; publish, send, price, refund and order are not on it."""

Tier = Literal["T0", "T1", "T2", "T3", "T4"]


class PolicyError(ValueError):
    """The policy file is missing or not valid; the workflow does not run."""


class Denied(PermissionError):
    """The policy does not allow it. Nothing was done."""


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataAccess(_Closed):
    """Layer 1: which sources and fields may be read, and which vendors may see them."""

    sources: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()


class Trip(_Closed):
    """When a rule throws the workflow's kill switch by itself."""

    failed_batches: int = Field(default=3, ge=1)  # that failed as a whole, one after the other
    fail_share: float = Field(default=0.5, gt=0, le=1)  # of the night's answers
    least_answers: int = Field(default=50, ge=1)  # before the share says anything


class ActionScope(_Closed):
    """Layer 2: the verbs, and the ceilings of one night."""

    verbs: tuple[Verb, ...] = ()
    max_items: int = Field(default=0, ge=0)
    max_output_tokens: int = Field(default=0, ge=0)
    max_attempts: int = Field(default=0, ge=0)
    max_usd: Decimal = Field(default=Decimal(0), ge=0)  # one night's budget
    trip: Trip = Trip()
    steps: dict[str, Decimal] = Field(default_factory=dict)  # a chain: what single steps may cost of it, at most


class Approval(_Closed):
    """Layer 3: who must say yes. T0 is read as an aggregate, T1 one reviewer, T2 a named one, T3 two or the owner."""

    default_tier: Tier = "T3"
    bulk: bool = False  # one decision for all that is ready; never where a named approver is due (T2 and up)


class Audit(_Closed):
    """Layer 4: how long the raw answers are kept, in days. The audit log itself is never cut."""

    keep_raw_days: int = Field(default=0, ge=0)


class Policy(_Closed):
    """One agent's four layers. What a file does not allow is denied."""

    version: Literal[1]
    agent: str
    owner: str = Field(min_length=1)
    data_access: DataAccess = DataAccess()
    action_scope: ActionScope = ActionScope()
    approval: Approval = Approval()
    audit: Audit = Audit()

    def allow(self, verb: Verb) -> None:
        """Raise `Denied` unless this agent may do `verb`."""
        if verb not in self.action_scope.verbs:
            allowed = ", ".join(self.action_scope.verbs) or "nothing"
            raise Denied(
                f"The policy of {self.agent!r} does not allow {verb!r}; it allows {allowed}. Nothing was done. "
                f"If it should, {self.owner} adds the verb to its policy.yaml."
            )


def path_of(workflow: str) -> Path:
    """Where a workflow's policy is."""
    return include_dir() / "prompts" / workflow / "policy.yaml"


def load(workflow: str) -> tuple[Policy, str]:
    """A workflow's policy and its hash (SHA-256 of the file's bytes).

    Raises:
        PolicyError: no file, not YAML, not the schema, or written for another agent.
    """
    path = path_of(workflow)
    try:
        data = path.read_bytes()
        policy = Policy.model_validate(_mapping(data))
    except FileNotFoundError as error:
        raise PolicyError(f"{workflow} has no policy ({path.name} beside its prompt): denied by default.") from error
    except (yaml.YAMLError, ValidationError) as error:
        raise PolicyError(f"The policy of {workflow} is not valid, so nothing is allowed: {error}") from error
    if policy.agent != workflow:
        raise PolicyError(f"The policy in {workflow}'s folder is for agent {policy.agent!r}: one agent, one policy.")
    return policy, hashlib.sha256(data).hexdigest()


def _mapping(data: bytes) -> dict[str, Any]:
    loaded = yaml.safe_load(data)
    return loaded if isinstance(loaded, dict) else {}
