"""Campaign texts for Klaviyo: one file for e-mail, one for SMS. Sending stays Klaviyo's, and a person's."""

from collections.abc import Mapping, Sequence
from typing import Any

from overnight.delivery import tables
from overnight.delivery.target import Approved, Target
from overnight.validation import sms

EMAIL = [
    "campaign_name",
    "send_on",
    "segment",
    "from_label",
    "subject_line",
    "preview_text",
    "subject_variant_1",
    "subject_variant_2",
    "html",
    "text",
]
SMS = ["campaign_name", "send_on", "segment", "sender", "body", "encoding", "segments"]


def make() -> "KlaviyoCsvTarget":
    """The target needs no settings."""
    return KlaviyoCsvTarget()


class KlaviyoCsvTarget(Target):
    """`klaviyo_email.csv` and `klaviyo_sms.csv`, those that have a row."""

    def files(self, workflow: str, items: Sequence[Approved]) -> Mapping[str, bytes]:
        """The files."""
        emails = [_email(item) for item in items if item.input.get("channel") == "email"]
        messages = [_sms(item) for item in items if item.input.get("channel") == "sms"]
        made: dict[str, bytes] = {}
        if emails:
            made["klaviyo_email.csv"] = tables.write(EMAIL, emails)
        if messages:
            made["klaviyo_sms.csv"] = tables.write(SMS, messages)
        return made


def _common(item: Approved) -> dict[str, Any]:
    return {"campaign_name": item.key, "send_on": item.input.get("send_on"), "segment": item.input.get("segment")}


def _email(item: Approved) -> dict[str, Any]:
    new = item.output
    variants = tables.numbered("subject_variant_{}", new.get("subject_variants") or [], 2)
    texts = {"subject_line": new["subject"], "preview_text": new["preheader"], "html": new["body_html"], "text": new["plaintext"]}
    return _common(item) | variants | texts | {"from_label": item.input.get("sender")}


def _sms(item: Approved) -> dict[str, Any]:
    text = str(item.output["sms_text"])
    size = sms.size(text)
    return _common(item) | {
        "sender": item.input.get("sender"),
        "body": text,
        "encoding": size.encoding,
        "segments": size.segments,
    }
