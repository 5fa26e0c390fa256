import json

from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.memory import Firing
from gcc_platform.watch.page import duration, headline, render
from gcc_platform.watch.report import Report, report
from gcc_platform.watch.runbook import render as render_runbook
from gcc_platform.watch.seen import Component, Seen

HOSTILE = '<script>alert("x")</script>'


def report_of(*alerts: Alert, components: tuple[Component, ...] = ()) -> Report:
    firing = [Firing(alert, 1_000.0) for alert in alerts]
    return report(1_060.0, 0.1, {"probe": Seen(alerts, components)}, firing, [], "", "http://watch/runbook")


def shown(found: Report) -> str:
    return render(found, [("Dagster", "http://dagster")], has_alertmanager=True, clock=lambda: 1_060.0)


def test_the_worst_comes_first_with_its_age_what_to_do_and_the_runbook() -> None:
    late = Alert.of(KINDS["AssetLate"], "marts/mart_profile is late")
    down = Alert.of(KINDS["ClickHouseDown"], "refused")
    page = shown(report_of(late, down))
    assert page.index("ClickHouseDown") < page.index("AssetLate")
    assert "60 s ago" in page
    assert KINDS["ClickHouseDown"].do in page
    assert 'href="http://watch/runbook#clickhousedown"' in page


def test_texts_of_messages_are_escaped() -> None:
    page = shown(report_of(Alert.of(KINDS["CheckFailed"], HOSTILE), components=(Component("c", "down", HOSTILE),)))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 2


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = shown(report_of())
    assert "src=" not in page
    assert "@import" not in page
    assert 'rel="stylesheet"' not in page


def test_the_headline_says_whether_anything_fires() -> None:
    assert headline(report_of()) == "All well"
    one = Alert.of(KINDS["ClickHouseDown"], "refused")
    assert headline(report_of(one)) == "1 alert: ClickHouseDown"
    assert headline(report_of(one, Alert.of(KINDS["DiskFilling"], "full"))) == "2 alerts, 1 of them urgent"


def test_a_report_survives_json() -> None:
    found = report_of(Alert.of(KINDS["ClickHouseDown"], "refused"), components=(Component("c", "ok", ""),))
    again = Report.from_json(json.loads(found.as_json()))
    assert again.as_json() == found.as_json()


def test_durations_are_shown_in_their_largest_sensible_unit() -> None:
    seconds = (0, 90, 600, 10_000, 400_000)
    assert [duration(each) for each in seconds] == ["0 s", "90 s", "10 min", "3 h", "5 days"]


def test_the_runbook_has_an_anchor_for_every_heading_and_no_markup_of_its_own() -> None:
    page = render_runbook()
    assert 'id="the-ingest-service"' in page
    assert "<table>" in page
