"""dbt builds the warehouse with its own user's rights, and its unit and data tests pass."""

from tests.dbt_project.conftest import Build


def of_kind(build: Build, kind: str) -> dict[str, str]:
    return {name: status for name, status in build.outcomes.items() if name.startswith(f"{kind}.")}


def test_every_unit_test_passes(build: Build) -> None:
    unit_tests = of_kind(build, "unit_test")
    assert len(unit_tests) >= 8
    assert set(unit_tests.values()) == {"pass"}, unit_tests


def test_every_model_is_built(build: Build) -> None:
    models = of_kind(build, "model")
    assert len(models) >= 5
    assert set(models.values()) == {"success"}, models


def test_no_data_test_fails(build: Build) -> None:
    tests = of_kind(build, "test")
    assert set(tests.values()) <= {"pass", "warn"}, tests
