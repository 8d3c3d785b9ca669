"""The policy of a workflow: what it may read, what it may do, who must say yes. Deny by default.

A YAML file beside the prompt, validated here; its hash goes into every audit record, so a record says under which rules
a thing was done.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from overnight.brand import include_dir
from overnight.governance import names
from overnight.governance.masking import ORDER, PATTERNS, Masker, Pattern, texts_of
from overnight.ledger.audit import Actor

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


DataClass = Literal["public", "internal", "personal"]


class DataAccess(_Closed):
    """Layer 1: which sources and fields may be read, of which class they are, and which vendor may see which class.

    A field is public unless it is named as internal or personal. Values of personal fields are masked before a vendor sees them,
    wherever they stand, and put back in the answer; so is every text that looks like one of `patterns`.
    """

    sources: tuple[str, ...] = ()  # where its rows may come from
    fields: tuple[str, ...] = ()  # every column it may read; one that is not named stops the check
    internal: tuple[str, ...] = ()  # of these: which vendors must be allowed to see
    personal: tuple[str, ...] = ()  # of these: masked before a vendor sees them
    vendors: dict[str, tuple[DataClass, ...]] = Field(default_factory=dict)  # a plain list: public and internal
    patterns: tuple[Pattern, ...] = PATTERNS  # texts that are masked wherever they stand
    order_number: str = ORDER  # what one looks like, a regular expression
    undeclared_names: Literal["send", "mask", "withhold"] = "send"  # a name in free text that no field declares

    @field_validator("vendors", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return dict.fromkeys(value, ("public", "internal")) if isinstance(value, list | tuple) else value

    @field_validator("order_number")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _known(self) -> "DataAccess":
        if unknown := sorted({*self.internal, *self.personal} - set(self.fields)):
            raise ValueError(f"{', '.join(unknown)}: given a class, but not among the fields that may be read")
        return self

    def keeps_back(self, row: Mapping[str, Any]) -> str | None:
        """Why a row goes to no vendor at all, or None: a policy may withhold what seems to name somebody it does not declare."""
        if self.undeclared_names != "withhold":
            return None
        declared = {name: row.get(name) for name in self.personal}
        hidden = Masker(declared, self.patterns, self.order_number).hide(dict(row))
        named = sorted(name for name, value in hidden.items() if any(any(names.in_text(text)) for text in texts_of(value)))
        if not named:
            return None
        return (
            f"Somebody seems to be named in {', '.join(named)}. The policy keeps such rows from every vendor: take the name out, "
            "or put it into a column that is declared personal. Nothing was sent."
        )

    def hidden_from(self, vendor: str) -> tuple[str, ...]:
        """The fields whose values this vendor does not see."""
        return () if "personal" in self.vendors.get(vendor, ()) else self.personal


class Trip(_Closed):
    """When a rule throws the workflow's kill switch by itself."""

    failed_batches: int = Field(default=3, ge=1)  # that failed as a whole, one after the other
    fail_share: float = Field(default=0.5, gt=0, le=1)  # of the night's answers
    least_answers: int = Field(default=50, ge=1)  # before the share says anything


class ActionScope(_Closed):
    """Layer 2: the verbs, and the ceilings of one night."""

    verbs: tuple[Verb, ...] = ()  # what its tasks may do
    max_items: int = Field(default=0, ge=0)  # a night may lock so many at most
    max_output_tokens: int = Field(default=0, ge=0)  # of one answer, at most
    max_attempts: int = Field(default=0, ge=0)  # nights an item may be sent again
    max_tokens: int | None = Field(default=None, ge=1)  # of a night, in and out together, at most; null: the money is the limit
    max_usd: Decimal = Field(default=Decimal(0), ge=0)  # one night's budget
    trip: Trip = Trip()
    steps: dict[str, Decimal] = Field(default_factory=dict)  # a chain: what single steps may cost of it, at most


class Approval(_Closed):
    """Layer 3: who must say yes. T0 is read as an aggregate, T1 one reviewer, T2 a named one, T3 two people or the owner; T4 is
    forbidden by a rule and nobody's to approve. An item's tier is the highest of the default and of what its findings raise.
    """

    default_tier: Tier = "T3"  # who must say yes where no finding raises it
    raises: dict[str, Tier] = Field(default_factory=dict)  # a finding's rule → the tier it raises an item to
    approvers: tuple[str, ...] = ()  # names or roles of team.yaml whose yes is enough for T2
    owners: tuple[str, ...] = ()  # … and alone enough for T3
    signed_in: bool = False  # T2 and T3 only on the page, which knows who is logged in: elsewhere a name is what somebody typed
    first_outputs: int = Field(default=0, ge=0)  # of a new prompt version: looked at one by one, whatever their tier
    bulk: bool = False  # one decision for all that is ready; never where a named approver is due (T2 and up)


class Audit(_Closed):
    """Layer 4: how long the vendors' raw answers are kept. What the audit log says leaves for an archive only, and never a part
    of a day (`retention` in brand.yaml).
    """

    keep_raw_days: int | None = Field(default=None, ge=0)  # after the night is closed; then `retention` removes them; null: never


class Policy(_Closed):
    """One agent's four layers. What a file does not allow is denied."""

    version: Literal[1]  # of this file's form
    agent: str  # the id its work is signed with, here and at the vendor
    owner: str = Field(min_length=1)  # who answers for it
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
        policy = _parsed(data)
    except FileNotFoundError as error:
        raise PolicyError(f"{workflow} has no policy ({path.name} beside its prompt): denied by default.") from error
    except (yaml.YAMLError, ValidationError) as error:
        raise PolicyError(f"The policy of {workflow} is not valid, so nothing is allowed: {error}") from error
    if policy.agent != workflow:
        raise PolicyError(f"The policy in {workflow}'s folder is for agent {policy.agent!r}: one agent, one policy.")
    return policy, hashlib.sha256(data).hexdigest()


def hash_of(workflow: str) -> str:
    """The hash of the policy that is in force now; "" where there is none that can be read (nothing is allowed then)."""
    try:
        return load(workflow)[1]
    except PolicyError:
        return ""


def under(actor: Actor, workflow: str) -> Actor:
    """The actor with the policy it acts under in this workflow: every audit record names it."""
    return replace(actor, policy_hash=hash_of(workflow))


@lru_cache(maxsize=64)
def _parsed(data: bytes) -> Policy:
    """Read anew each time, parsed once: a review asks at every decision."""
    return Policy.model_validate(_mapping(data))


def _mapping(data: bytes) -> dict[str, Any]:
    loaded = yaml.safe_load(data)
    return loaded if isinstance(loaded, dict) else {}


def lets(workflow: str, verb: Verb) -> bool:
    """Whether a workflow's policy allows a verb; one that cannot be read allows nothing."""
    try:
        return verb in load(workflow)[0].action_scope.verbs
    except PolicyError:
        return False
