"""Tonight, nights, quality, money, audit: what stands on them, and that the JSON says the same."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from overnight.alerts import notifier
from overnight.ledger import audit, nights
from overnight.ledger.connect import Ledger
from overnight.ledger.tables import items
from overnight.queues.preview import preview
from overnight.ui import gauges
from overnight.ui.shows.money import money
from overnight.workflow import SHARED_DAGS, workflow_names
from tests.conftest import PROJECT, Sandbox
from tests.support.month import one_night
from tests.support.night import EVENING, Night, queue_file
from tests.support.project import Project
from tests.support.reviewed import NOW, draft, entries, shown
from tests.support.visitors import HOME, Guest, client, press

HEAD = "review_id,sku,rating,title,body\n"
PAGES = ("/", "/review", "/nights", "/quality", "/money", "/audit", "/audit/week", "/api")


def rows(count: int) -> str:
    return "".join(f"r{n},S{n},4,Good,The kettle number {n} boils in four minutes.\n" for n in range(count))


def at(ledger: Ledger, now: datetime, guest: Guest | None = None) -> TestClient:
    return client(guest or Guest("ada"), ledger, lambda: now)


@pytest.fixture(scope="module")
def month_file(tmp_path_factory: pytest.TempPathFactory, empty_file: Path) -> tuple[Path, datetime]:
    """Ten measured nights of drafts: nine usual ones, and one on which most went back."""
    path, over = tmp_path_factory.mktemp("month") / "ledger.db", EVENING
    made = Ledger(f"sqlite:///{shutil.copyfile(empty_file, path)}")
    for number in range(10):
        over, _ = one_night(made, number, as_is=8 if number < 9 else 1, edit=1, size=10, usd=Decimal("0.012"))
    made.close()
    return path, over


@pytest.fixture
def month(tmp_path: Path, month_file: tuple[Path, datetime]) -> Iterator[tuple[Ledger, datetime]]:
    """A copy of them of one's own, and when the last one's review was over."""
    path, over = month_file
    made = Ledger(f"sqlite:///{shutil.copyfile(path, tmp_path / 'ledger.db')}")
    yield made, over
    made.close()


@pytest.mark.parametrize("path", PAGES)
def test_an_empty_ledger_has_every_page(sqlite_ledger: Ledger, path: str) -> None:
    """The first morning: words instead of tables."""
    answer = at(sqlite_ledger, EVENING).get(path)
    assert answer.status_code == 200
    assert "<script>" not in answer.text


def test_tonight_looks_ahead_then_follows_the_night(ledger: Ledger, queue: Path, vendors: Sandbox, project: Project) -> None:
    """Queue against cap, minutes, cost, what waits and why; then the night itself; then what is ready to decide."""
    project.policy("review_sentiment", lambda policy: policy["action_scope"].update(max_items=4))
    queue_file(queue, "review_sentiment", "a.csv", HEAD + rows(6) + "r9,S9,11,Bad,No such rating.\n")
    noon = EVENING - timedelta(hours=4)
    preview(ledger, "review_sentiment", now=noon)
    page = at(ledger, noon).get("/").text
    for words in ("Review sentiment", "waits for the lock", "<strong>4</strong> of at most 4", "2 wait for a later night", "1 refused",
                  "over tonight&#39;s cap of 4", "The check finds nothing in the way"):  # fmt: skip
        assert words in page, words
    (line,) = at(ledger, noon).get("/api/tonight").json()["lines"]
    assert (line["locked"], line["ready"], line["cap"], line["rejected"], line["state"]) == (4, 6, 4, 1, "waits for the lock")

    night = Night(ledger, "review_sentiment")
    night.check()
    night.drain()
    locked = at(ledger, night.clock()).get("/api/tonight").json()["lines"][0]
    assert (locked["state"], locked["locked"], locked["ready"]) == ("at work: 0 of 1 batches at the vendor", 4, 6)
    night.chain(night.planned)
    night.validate()
    night.export()
    told = at(ledger, night.clock()).get("/api/tonight").json()
    assert told["lines"][0]["state"] == "in review"
    assert told["left"] == told["waiting"][0]["left"]


def test_a_lock_that_passed_without_a_night_is_said(sqlite_ledger: Ledger, queue: Path, vendors: Sandbox) -> None:
    """The page does not go on showing yesterday's look ahead as if nothing were wrong."""
    queue_file(queue, "review_sentiment", "a.csv", HEAD + rows(2))
    preview(sqlite_ledger, "review_sentiment", now=EVENING - timedelta(hours=1))
    page = at(sqlite_ledger, EVENING + timedelta(minutes=20)).get("/").text
    assert "nothing ran" in page
    assert "The lock has passed and no night was opened" in page


def test_a_nights_corridor_counts_every_item_once(ledger: Ledger, queue: Path, vendors: Sandbox) -> None:
    """Stages and asides add up to what was locked; the batch has its vendor's name; the run is a click away."""
    queue_file(queue, "review_sentiment", "a.csv", HEAD + rows(8))
    night = Night(ledger, "review_sentiment", run_id="scheduled__2026-11-23T16:00:00+00:00")
    night.run()
    row = night.row()
    told = at(ledger, night.clock()).get(f"/api/nights/{row['id']}").json()
    counts = {stage["name"]: stage["count"] for stage in [*told["stages"], *told["aside"]]}
    assert sum(counts.values()) == told["line"]["locked"] == 8
    assert counts["in_review"] == 8
    (batch,) = told["batches"]
    assert (batch["vendor"], batch["state"], batch["requests"]) == ("openai", "landed", {"answered": batch["request_count"]})
    assert batch["vendor_batch_id"].startswith("batch_")
    page = at(ledger, night.clock()).get(f"/night/{row['id']}").text
    assert 'href="/dags/review_sentiment/runs/scheduled__2026-11-23T16%3A00%3A00%2B00%3A00"' in page
    assert "queue locked" in page
    found = at(ledger, night.clock()).get("/run/review_sentiment/scheduled__2026-11-23T16:00:00+00:00")
    assert found.headers["location"] == f"/night/{row['id']}"
    assert at(ledger, night.clock()).get("/run/review_sentiment/never_was").status_code == 404


def test_quality_shows_ranges_limits_and_the_night_no_chance_explains(month: tuple[Ledger, datetime]) -> None:
    """The five metrics with their bands, the chart as picture and as numbers, versions and reviewers."""
    ledger, now = month
    ada = at(ledger, now)
    overview = ada.get("/quality").text
    assert "Blog drafts" in overview
    assert "70–85 %" in overview
    page = ada.get("/quality/blog_drafts").text
    for words in ("Outside the limits: 2026-10-09", "Ada Byron", "By prompt version and model", "claude"):
        assert words in page, words
    told = ada.get("/api/quality/blog_drafts").json()
    as_is = next(chart for chart in told["charts"] if chart["metric"] == "as_is")
    assert as_is["out"] == ["2026-10-09"]
    assert as_is["centre"] == pytest.approx(73 / 100)
    assert told["summary"]["values"][0]["verdict"] in ("healthy", "below")
    assert ada.get("/quality/no_such").status_code == 404


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "path", [*(f"/quality/blog_drafts/{name}.svg" for name in ("as_is", "edit", "rework", "cost_per_output")), "/money/cost.svg"]
)
def test_a_chart_is_a_picture_without_a_script(month: tuple[Ledger, datetime], path: str, theme: str) -> None:
    """SVG, no script, nothing from elsewhere, and a policy that lets none be."""
    ledger, now = month
    answer = at(ledger, now).get(f"{path}?theme={theme}")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "script" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not [word for word in ('href="http', "src=", "@import", "url(http") if word in answer.text]
    assert len(answer.content) < 100_000


def test_an_unknown_chart_or_theme_is_refused(month: tuple[Ledger, datetime]) -> None:
    """Nothing of the address gets into the picture."""
    ledger, now = month
    assert at(ledger, now).get("/quality/blog_drafts/other.svg").status_code == 404
    assert at(ledger, now).get("/quality/blog_drafts/as_is.svg?theme=<b>").status_code == 422


def test_money_adds_up_and_shows_a_multiplier_only_with_a_baseline(month: tuple[Ledger, datetime], project: Project) -> None:
    """Ten nights of ten drafts at 1.2 cents; half the price of real time; nine tenths or so approved."""
    ledger, now = month
    ada = at(ledger, now)
    told = ada.get("/api/money?days=28").json()
    total = told["total"]
    assert (total["outputs"], total["approved"]) == (100, 83)
    assert Decimal(total["cost_usd"]) == Decimal("1.2")
    assert Decimal(total["batch_saved_usd"]) == Decimal("1.2")
    assert Decimal(total["cost_per_approved_usd"]) == Decimal("1.2") / 83
    assert total["approved_a_dollar"] == pytest.approx(83 / 1.2)
    assert told["lines"][0]["worth"] is None
    page = ada.get("/money").text
    assert "No baseline was entered" in page
    assert " × </strong> the output" not in page

    project.write(
        "baseline.yaml", "workflows:\n  blog_drafts: {outputs_per_week: 3, minutes_each: 180, measured: 'March, four weeks'}\n"
    )
    worth = ada.get("/api/money?days=28").json()["lines"][0]["worth"]
    assert worth["multiplier"] == pytest.approx(83 / (10 / 7) / 3)
    assert worth["hours_by_hand"] == pytest.approx(249)
    assert "March, four weeks" in ada.get("/money").text
    project.write("baseline.yaml", "workflows:\n  blog_drafts: {outputs_per_week: many}\n")
    assert "baseline.yaml: workflows.blog_drafts.outputs_per_week" in ada.get("/money").text, (
        "a slip is said, the money still shown"
    )


def test_days_out_of_reach_are_refused(sqlite_ledger: Ledger) -> None:
    """A period is a number of days."""
    for days in ("0", "9999", "x"):
        assert at(sqlite_ledger, EVENING).get(f"/money?days={days}").status_code == 422


def test_the_log_is_searched_paged_and_verified(month: tuple[Ledger, datetime]) -> None:
    """By person, by what was done, by item; older pages reach the beginning; a chain that was tampered with is named."""
    ledger, now = month
    ada = at(ledger, now)
    decided = ada.get("/api/audit?verb=decide").json()
    assert len(decided["events"]) == 100
    older = ada.get(f"/api/audit?verb=decide&before={decided['older']}").json() if decided["older"] else {"events": []}
    assert {event["id"] for event in decided["events"]}.isdisjoint(event["id"] for event in older["events"])
    item = decided["events"][0]["object_id"]
    history = ada.get(f"/api/audit?object_type=item&object_id={item}").json()["events"]
    assert [event["to_state"] for event in reversed(history)][:1] == ["waiting"], "all that happened to it, its moves too"
    assert ada.get("/api/audit?actor=nobody").json() == {"events": [], "older": None}
    last = now.date().isoformat()
    whole = ada.get(f"/api/audit/verified?first_day=2026-10-01&last_day={last}").json()
    assert (whole["problems"], whole["chains"] > 5) == ([], True)
    assert "every link holds" in ada.post("/audit/verify", data={"workflow": "blog_drafts", "last_day": last}, headers=HOME).text
    _tamper(ledger)
    broken = ada.get(f"/api/audit/verified?first_day=2026-10-01&last_day={last}").json()["problems"]
    assert len(broken) == 1
    assert "its content was changed after it was written" in broken[0]
    assert "PROBLEMS" in ada.post("/audit/verify", data={"first_day": "2026-10-01", "last_day": last}, headers=HOME).text


def _tamper(ledger: Ledger) -> None:
    with ledger.engine.begin() as conn:
        for name in [row[0] for row in conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='trigger'")]:
            conn.exec_driver_sql(f"DROP TRIGGER {name}")
        conn.exec_driver_sql(
            "UPDATE audit_events SET actor = 'mallory' WHERE id = (SELECT max(id) FROM audit_events WHERE verb = 'decide')"
        )


def test_a_filter_by_hand_finds_nothing_that_may_not_be_seen(month: tuple[Ledger, datetime]) -> None:
    """Whoever may not read a log gets an empty one, whatever the address says."""
    ledger, now = month
    told = at(ledger, now, Guest("vic", audits=False)).get("/api/audit?workflow=blog_drafts&notable=false").json()
    assert told["events"] == []
    assert at(ledger, now).get("/audit?first_day=' OR 1=1").status_code == 422


def test_the_openapi_page_and_description_name_every_operation(sqlite_ledger: Ledger) -> None:
    """What there is, from the description itself; each path answers."""
    ada = at(sqlite_ledger, EVENING)
    told = ada.get("/api/openapi.json").json()
    assert told["openapi"].startswith("3.")
    page = ada.get("/api").text
    for path in told["paths"]:
        assert path.startswith("/api/")
        assert f"{path}</code>" in page
    assert set(told["components"]["schemas"]) >= {"Tonight", "Corridor", "Money", "Detail", "Found", "Decisions", "Outcome"}


def test_decisions_that_come_as_a_list_are_each_taken_or_refused(ledger: Ledger) -> None:
    """A stale version, a missing reason, a colleague's open item: each refused in words, the others taken, all on record."""
    from tests.ui.test_review import Review

    review = Review(ledger, 5)
    ada, ben = review.at(Guest("ada")), review.at(Guest("ben"))
    ids = [item["id"] for item in review.items]
    ben.get(f"{review.path}/item/{ids[3]}")
    given: list[dict[str, Any]] = [{"item_id": i, "output_hash": review.hash_of(i), "decision": "approve"} for i in ids]
    given[1] |= {"output_hash": "0" * 64}
    given[2] |= {"decision": "rework", "note": "not so"}
    given[4] |= {"decision": "edit", "edited": {"title": "A better title"}, "note": "clearer"}
    told = ada.post(f"/api/reviews/{review.night['id']}/decisions", json={"decisions": given}, headers=HOME).json()
    assert (told["taken"], told["refused"], told["left"]) == (2, 3, 3)
    said = {one["item_id"]: one["said"] for one in told["results"]}
    assert "draft changed after you opened it" in said[ids[1]]
    assert "Ben Okafor has this item open" in said[ids[3]]
    assert review.decided() == {ids[0]: "approve", ids[4]: "edit"}
    with ledger.read() as conn:
        assert [event["verb"] for event in audit.of_object(conn, "item", str(ids[1]))].count("refuse") == 1
    again = ada.post(f"/api/reviews/{review.night['id']}/decisions", json={"decisions": given[:1]}, headers=HOME).json()
    assert again["taken"] == 1, "a list that is sent again after a lost answer changes nothing"
    assert ada.post(f"/api/reviews/{review.night['id']}/decisions", json={"decisions": []}, headers=HOME).status_code == 422
    assert ada.post(f"/api/reviews/{review.night['id']}/decisions", json={"decisions": given[:1]}).status_code == 403


def test_a_reviews_page_and_item_are_the_same_as_json(ledger: Ledger) -> None:
    """Fields, hash and open state: what a script needs to decide."""
    from tests.ui.test_review import Review

    review = Review(ledger, 3)
    ada = review.at(Guest("ada"))
    page = ada.get(f"/api/reviews/{review.night['id']}").json()
    assert (page["left"], page["total"], len(page["items"])) == (3, 3, 3)
    one = ada.get(f"/api/reviews/{review.night['id']}/items/{page['items'][0]['id']}").json()
    assert one == page["items"][0]
    assert one["fields"][0]["after"]
    (waiting,) = ada.get("/api/reviews").json()
    assert waiting["left"] == 3
    json.dumps(page)


def test_an_errors_page_is_words_for_a_browser_and_json_for_a_script(sqlite_ledger: Ledger) -> None:
    """A night that is not there."""
    ada = at(sqlite_ledger, EVENING)
    page = ada.get("/night/77", headers={"accept": "text/html"})
    assert (page.status_code, "There is no such night" in page.text) == (404, True)
    assert ada.get("/api/nights/77").json()["detail"].startswith("There is no such night")


def test_nights_are_paged(sqlite_ledger: Ledger) -> None:
    """Fifty a page, by the id of the last."""
    from overnight.ledger.audit import Actor

    with sqlite_ledger.write() as conn:
        for n in range(60):
            facts: Callable[[], dict[str, Any]] = lambda n=n: {  # noqa: E731
                "workflow": "blog_drafts", "night": f"n{n}", "run_id": f"r{n}", "timezone": "UTC", "vendor": "v", "model": "m", "surface": "page",
                "source": "csv", "policy_hash": "p", "prompt_version": "v", "cap": 1, "start_at": EVENING, "cutoff_at": EVENING, "due_at": EVENING,
            }  # fmt: skip
            made = nights.open_night(conn, facts=facts(), actor=Actor("agent", "x"), now=EVENING)
            conn.exec_driver_sql(f"UPDATE nights SET state = 'closed' WHERE id = {made['id']}")
    ada = at(sqlite_ledger, EVENING)
    first = ada.get("/api/nights").json()
    second = ada.get(f"/api/nights?before={first[-1]['id']}").json()
    assert (len(first), len(second)) == (50, 10)
    assert f"before={first[-1]['id']}" in ada.get("/nights").text


def test_the_money_of_workflows_one_may_not_see_is_not_in_the_sum(month: tuple[Ledger, datetime]) -> None:
    """Numbers leak as words do."""
    ledger, now = month
    with ledger.read() as conn:
        assert money(conn, ["email_sms"], 28, now=now).total.cost_usd == 0


def test_a_trouble_of_the_mornings_collecting_is_on_tonight_and_in_the_gauges(sqlite_ledger: Ledger) -> None:
    """Approved work stands still: the first page says so to whoever may see that Dag, and so do the metrics."""
    notifier.raise_alert(sqlite_ledger, "task:morning_review:deliver:2026-11-24", "delivery_refused", "morning_review",
                         "The disk is full.", now=EVENING)  # fmt: skip
    assert "The disk is full." in at(sqlite_ledger, EVENING).get("/").text
    assert "The disk is full." in at(sqlite_ledger, EVENING).get("/nights").text
    assert "The disk is full." not in at(sqlite_ledger, EVENING, Guest("eve", reads=False)).get("/").text
    with sqlite_ledger.read() as conn:
        assert {one.name: one.value for one in gauges.gauges(conn, now=EVENING)}["overnight.alerts"] == 1


def test_the_dags_that_serve_all_workflows_are_named_as_their_files_are() -> None:
    """Who adds one has its troubles on the pages."""
    files = {path.stem for path in (PROJECT / "dags").glob("*.py")}
    assert sorted(files - set(workflow_names())) == list(SHARED_DAGS)


@pytest.mark.parametrize("what", ["digest", "by hand"])
def test_a_review_in_which_only_the_digest_or_a_text_to_write_is_left_stays_on_the_list(sqlite_ledger: Ledger, what: str) -> None:
    """The listed items are decided; hundreds that the digest speaks for wait, or one that is a person's to write."""
    buckets = ["ready", "covered", "covered"] if what == "digest" else ["ready"]
    _, night = shown(sqlite_ledger, "page", [draft(n) for n in range(len(buckets))], buckets=buckets, tiers=["T1"] * len(buckets))
    first, *_ = entries(sqlite_ledger, night)
    with sqlite_ledger.write() as conn:
        if what == "digest":
            press(
                conn, night["id"], first["id"], {"output_hash": first["output_hash"], "decision": "approve"}, who="ada", now=NOW
            )
        else:
            conn.execute(update(items).values(state="failed", bucket="by_hand"))
    browser = at(sqlite_ledger, NOW)
    (listed,) = browser.get("/api/reviews").json()
    assert (listed["left"], listed["covered"]) == ((0, 2) if what == "digest" else (1, 0))
    if what == "digest":
        place = browser.get(f"/review/{night['id']}/next").headers["location"]
        assert "The+digest+is+left" in place or "The%20digest%20is%20left" in place
        with sqlite_ledger.write() as conn:
            press(conn, night["id"], None, {"decision": "approve"}, who="ada", now=NOW)
        assert browser.get("/api/reviews").json() == [], "decided: nothing is left, though it is collected later"


def test_one_good_night_is_no_weeks_pace(project: Project, sqlite_ledger: Ledger) -> None:
    """A pilot of ten on one evening beside a baseline of three a week is ten in that week, not seventy."""
    from overnight.ui.shows import money as shows

    over, _ = one_night(sqlite_ledger, 0, as_is=10, edit=0, size=10, usd=Decimal("0.012"))
    project.write(
        "baseline.yaml", "workflows:\n  blog_drafts: {outputs_per_week: 3, minutes_each: 180, measured: 'March, four weeks'}\n"
    )
    with sqlite_ledger.read() as conn:
        (line,) = shows.money(conn, ["blog_drafts"], 28, now=over + timedelta(days=1)).lines
    assert line.worth is not None
    assert line.worth.multiplier == pytest.approx(10 / 3)
