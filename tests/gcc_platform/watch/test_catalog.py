"""The catalog of alerts against what must agree with it: Alertmanager's inhibition, the runbook."""

import re
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.runbook import anchor

ROOT = Path(__file__).parents[3]
CONFIGURATION = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"


def rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(CONFIGURATION.read_text())["inhibit_rules"]
    return found


def names(matchers: list[str]) -> list[str]:
    [matcher] = [each for each in matchers if each.startswith("alertname")]
    return re.split(r"\|", matcher.split('"')[1])


def muted(rules: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {pair for rule in rules for pair in product(names(rule["source_matchers"]), names(rule["target_matchers"]))}


def test_alertmanager_mutes_what_the_catalog_says() -> None:
    assert muted([rule for rule in rules() if "equal" not in rule]) == {
        (source, kind.name) for kind in KINDS.values() for source in kind.muted_by
    }
    assert muted([rule for rule in rules() if rule.get("equal") == ["type"]]) == {
        (source, kind.name) for kind in KINDS.values() for source in kind.muted_per_type
    }


def test_only_alerts_that_exist_mute_others_and_none_mutes_itself() -> None:
    for kind in KINDS.values():
        assert {*kind.muted_by, *kind.muted_per_type} <= KINDS.keys() - {kind.name}


def test_no_two_alerts_mute_each_other() -> None:
    pairs = {(kind.name, source) for kind in KINDS.values() for source in (*kind.muted_by, *kind.muted_per_type)}
    assert not pairs & {(source, name) for name, source in pairs}


def test_the_configuration_is_valid_for_alertmanager() -> None:
    done = subprocess.run(["amtool", "check-config", CONFIGURATION], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_receiver_of_the_commented_examples_is_valid_for_alertmanager(tmp_path: Path) -> None:
    """The file with all examples switched on, as its comments say."""
    text = re.sub(r"(?m)^(\s*)#(?=[-\w]| {2,}\S)", r"\1", CONFIGURATION.read_text())
    text = re.sub(r"(?s)\A.*?(?=global:)", "", text).replace("receiver: ingest", "receiver: warn")
    (tmp_path / "all.yml").write_text(text)
    (tmp_path / "gcc.tmpl").write_text((CONFIGURATION.parent / "gcc.tmpl").read_text())
    for receiver in ("pagerduty_configs", "slack_configs", "email_configs", "webhook_configs"):
        assert re.search(rf"(?m)^\s+{receiver}:", text), receiver
    done = subprocess.run(["amtool", "check-config", tmp_path / "all.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{text}"


def test_every_alert_has_a_runbook_entry_where_its_link_leads() -> None:
    headings = re.findall(r"(?m)^#+ (.*)$", (ROOT / "docs" / "operations.md").read_text())
    assert {kind.anchor for kind in KINDS.values()} <= {anchor(heading) for heading in headings}
