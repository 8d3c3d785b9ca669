"""Fault profiles: named, documented, bounded, and the same for the same seed."""

from typer.testing import CliRunner

from overnight.cli import app
from overnight.sandbox.profiles import MOST_IN_A_ROW, PROFILES, Fault, Profile
from tests.conftest import PROJECT


def test_every_profile_is_documented_and_listed() -> None:
    """What can be chosen is what the how-to names, and `--profile list` says what each does."""
    text = (PROJECT / "docs" / "how-to" / "local-vendor.md").read_text()
    listed = CliRunner().invoke(app, ["sandbox", "--profile", "list"]).output
    for name, profile in PROFILES.items():
        assert name in listed
        assert profile.says in listed
        assert name == "none" or name in text, name


def test_an_unknown_profile_is_refused_with_the_ones_there_are() -> None:
    """Nothing is started."""
    refused = CliRunner().invoke(app, ["sandbox", "--profile", "nope"])
    assert refused.exit_code == 2
    assert "lost_response" in refused.output
    assert "Nothing was started" in refused.output


def test_one_seed_fails_in_one_way_and_another_in_another() -> None:
    """A night that failed can be run again."""
    profile = Profile("x", "", busy=0.5)
    runs = [[Fault(profile, seed).strikes(0.5, f"call {n}") for n in range(50)] for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_a_fault_never_strikes_one_kind_of_call_for_ever() -> None:
    """A client that tries again gets through."""
    fault = Fault(Profile("x", ""), 1)
    struck = [fault.strikes(1.0, "create") for _ in range(40)]
    assert struck[:MOST_IN_A_ROW] == [True] * MOST_IN_A_ROW
    assert struck.count(False) >= 40 // (MOST_IN_A_ROW + 1)


def test_result_lines_can_be_missing_doubled_foreign_and_torn() -> None:
    """Each with the custom_id it belongs to, so that a landing can be held to account."""
    lines = [(f"id{n}", f'{{"custom_id": "id{n}"}}\n') for n in range(50)]
    for name, wrong in (
        ("missing", lambda out: len(out) < 50),
        ("duplicates", lambda out: len(out) > 50),
        ("foreign", lambda out: any("stranger" in line for line in out)),
        ("garbled", lambda out: any(not line.rstrip().endswith("}") for line in out)),
        ("no_output", lambda out: out == []),
    ):
        seeds = [list(Fault(PROFILES[name], seed).lines("batch", lines)) for seed in range(5)]
        assert any(wrong(out) for out in seeds), name
