"""Writes an e-mail or a text message out of its brief; sender, link and the way out are always in it."""

import html
from typing import Any

from overnight.sandbox.asking import Ask

FITS = frozenset({"subject", "preheader", "body_html", "sms_text"})


def write(ask: Ask) -> dict[str, Any]:
    """The message for the brief in the prompt."""
    item = ask.block("item")
    return _sms(item) if item.get("channel") == "sms" else _email(ask, item)


def _sms(item: dict[str, Any]) -> dict[str, Any]:
    offer = str(item.get("offer") or "").rstrip(".")
    fact = str((item.get("facts") or [item.get("objective")])[0]).rstrip(".")
    way_out = f" {item.get('opt_out')}" if item.get("kind") == "marketing" else ""
    tail = f" {item.get('landing_url')}{way_out}"
    head = f"{item.get('sender')}: {offer + '. ' if offer else ''}{fact}."
    room = 158 - len(tail)
    text = (head if len(head) <= room else head[:room].rsplit(" ", 1)[0].rstrip(" .,") + ".") + tail
    return {
        "subject": "",
        "subject_variants": [],
        "preheader": "",
        "body_html": "",
        "plaintext": "",
        "cta_label": "",
        "sms_text": text,
    }


def _email(ask: Ask, item: dict[str, Any]) -> dict[str, Any]:
    facts = [str(fact).rstrip(".") for fact in item.get("facts") or []]
    offer, terms = str(item.get("offer") or "").rstrip("."), str(item.get("terms") or "").rstrip(".")
    ends = f" It ends on {item['offer_ends']}." if item.get("offer_ends") and offer else ""
    names = [str(tag).partition(":")[0] for tag in item.get("merge_tags") or []]
    hello = f"Hello {{{{ {names[0]}|default:'there' }}}}," if names else "Hello,"
    lines = [f"{offer}.{ends}" if offer else "", *(f"{fact}." for fact in facts), f"{terms}." if terms else ""]
    body = [line for line in lines if line]
    feet = [str(item.get("address_tag")), str(item.get("unsubscribe_tag"))]
    url, label = str(item.get("landing_url")), "See the details"
    markup = f"<p>{hello}</p>" + "".join(f"<p>{html.escape(line, quote=False)}</p>" for line in body)
    markup += f'<p><a href="{html.escape(url)}">{label}</a></p>' + "".join(f"<p>{foot}</p>" for foot in feet)
    subject = _fit(str(item.get("objective", "News")).capitalize().rstrip("."), 48)
    return {
        "subject": ask.heed(subject),
        "subject_variants": [_fit(f"For you: {subject.lower()}", 48), _fit(f"{subject}, in short", 48)],
        "preheader": _fit(f"{(facts or ['What is new and for whom it is'])[0]}, and what to know before you choose.", 98),
        "body_html": markup,
        "plaintext": ask.heed("\n\n".join([hello, *body, f"{label}: {url}", *feet])),
        "cta_label": label,
        "sms_text": "",
    }


def _fit(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0].rstrip(" ,;:-.")
