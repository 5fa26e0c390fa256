"""What every dbt model and source must have, read from the manifests dbt itself writes."""

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = {name: ROOT / "dbt_project" / name for name in ("warehouse", "serving")}
RAW_TABLES = ROOT / "ingest_service" / "schema" / "tables"

Node = dict[str, Any]

COMMENT = re.compile(r"--.*|\{#[\s\S]*?#\}")
ARG_MAX = re.compile(r"\barg(?:Max|Min)(?:If)?\(")
RELATION = re.compile(r"\b(_e|warehouse|serving|serving_data|api)\.\w+")


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Node]:
    return {name: parse(path, tmp_path_factory.mktemp(name)) for name, path in PROJECTS.items()}


def parse(project: Path, target: Path) -> Node:
    dbt = [str(Path(sys.executable).with_name("dbt")), "--quiet", "--warn-error", "parse", "--no-partial-parse"]
    places = ["--project-dir", str(project), "--profiles-dir", str(project)]
    outputs = ["--target-path", str(target), "--log-path", str(target)]
    done = subprocess.run([*dbt, *places, *outputs], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    manifest: Node = json.loads((target / "manifest.json").read_text())
    return manifest


@pytest.fixture(scope="module")
def models(manifests: dict[str, Node]) -> list[Node]:
    return [node for node in every(manifests, "nodes") if node["resource_type"] == "model"]


@pytest.fixture(scope="module")
def marts(models: list[Node]) -> list[Node]:
    return [model for model in models if "marts" in model["fqn"]]


def every(manifests: dict[str, Node], kind: str) -> Iterator[Node]:
    return (node for manifest in manifests.values() for node in manifest[kind].values())


def generic_tests(manifests: dict[str, Node], model: Node, name: str) -> list[Node]:
    return [
        node
        for node in every(manifests, "nodes")
        if node.get("attached_node") == model["unique_id"] and node["test_metadata"]["name"] == name
    ]


def test_there_are_models_to_look_at(models: list[Node], marts: list[Node]) -> None:
    assert (len(models), len(marts)) >= (8, 3)


def test_every_model_has_one_sql_and_one_yml_of_its_name(models: list[Node]) -> None:
    for model in models:
        assert Path(model["original_file_path"]).stem == model["name"]
        assert Path(model["patch_path"]).name == f"{model['name']}.yml"


def test_the_warehouses_models_are_named_after_their_layer(models: list[Node]) -> None:
    prefixes = {"staging": "stg_beat_", "intermediate": "int_", "marts": "mart_"}
    for model in models:
        if model["package_name"] == "warehouse":
            layer = model["fqn"][1]
            assert model["name"].startswith(prefixes[layer]), f"{model['name']} in {layer}"


def test_every_model_and_every_column_selected_is_described(models: list[Node]) -> None:
    for model in models:
        assert model["description"].strip(), model["name"]
        undescribed = [name for name, column in model["columns"].items() if not column["description"].strip()]
        assert undescribed == [], model["name"]
        assert list(model["columns"]) == selected_columns(model), model["name"]


def selected_columns(model: Node) -> list[str]:
    """The columns of the last CTE, which `select * from` hands on; of a model without CTEs, those it selects."""
    code = without_comments(model["raw_code"])
    selected = code[code.rindex("as (") :] if "as (" in code else code
    between = re.search(r"\bselect\b(.*?)\n *from\b", selected, re.DOTALL)
    assert between, f"{model['name']}: it does not end in `select ... from ...`"
    columns = re.split(r",\s*\n", between[1].strip())
    return [re.split(r"[\s.]", column)[-1] for column in columns]


def test_a_view_of_the_api_names_the_columns_that_it_reads(models: list[Node]) -> None:
    """`select *` from a mart reads all its columns: none of them could be removed without changing the view first."""
    for model in models:
        if model["package_name"] == "serving":
            assert re.findall(r"\*\s+from\s+\{\{", without_comments(model["raw_code"])) == [], model["name"]


def test_no_staging_or_intermediate_model_reads_a_mart(models: list[Node], marts: list[Node]) -> None:
    names = {mart["unique_id"] for mart in marts}
    below = [model for model in models if model["unique_id"] not in names and model["package_name"] == "warehouse"]
    assert {model["name"]: names.intersection(model["depends_on"]["nodes"]) for model in below} == {
        model["name"]: set() for model in below
    }


def test_every_staging_and_intermediate_model_has_a_reader(manifests: dict[str, Node], models: list[Node]) -> None:
    """Another model, or an exposure that says who else reads it."""
    readers = [*models, *every(manifests, "exposures")]
    read = {name for reader in readers for name in reader["depends_on"]["nodes"]}
    below = [model for model in models if model["package_name"] == "warehouse" and "marts" not in model["fqn"]]
    assert [model["name"] for model in below if model["unique_id"] not in read] == []


def test_only_recency_decides_which_event_is_newest() -> None:
    """One rule, with its reasons beside it: elsewhere argMax orders days or rows, never events."""
    of_events = re.compile(r"event_timestamp|event_id|recency")
    for path in PROJECTS["warehouse"].rglob("*.sql"):
        if "target" in path.parts:
            continue
        code = without_comments(path.read_text())
        for named in re.findall(r".* as recency\b", code):
            assert re.search(r"\{\{ recency\(.*\) \}\} as recency", named), f"{path.name}: use the macro recency"
        if path.name != "recency.sql":
            assert not [order for order in orders(code) if of_events.search(order)], (
                f"{path.name}: use the macro newest"
            )


def orders(code: str) -> Iterator[str]:
    """What each argMax and argMin ranks by: its second argument."""
    for found in ARG_MAX.finditer(code):
        arguments, depth = [""], 1
        for character in code[found.end() :]:
            depth += {"(": 1, ")": -1}.get(character, 0)
            if depth == 0:
                break
            if (character, depth) == (",", 1):
                arguments.append("")
            else:
                arguments[-1] += character
        yield arguments[1]


def test_every_model_has_an_owner(models: list[Node]) -> None:
    assert [model["name"] for model in models if not model["config"]["meta"].get("owner")] == []


def test_every_mart_enforces_a_contract_with_types_that_sync(marts: list[Node]) -> None:
    scalar = r"String|Date|Int64|Float64|Decimal\(38, 9\)|DateTime64\(6, 'UTC'\)"
    syncable = re.compile(rf"({scalar})|Nullable\(({scalar})\)")
    for mart in marts:
        assert mart["config"]["contract"]["enforced"], mart["name"]
        for name, column in mart["columns"].items():
            assert syncable.fullmatch(column["data_type"]), f"{mart['name']}.{name}: {column['data_type']}"


def test_every_model_says_its_grain_and_keeps_it(models: list[Node], manifests: dict[str, Node]) -> None:
    """A table is tested; a view, and a table of states, has one row of each key by construction."""
    for model in models:
        grain = grain_of(model, manifests)
        assert f"one row per {', '.join(grain)}" in model["description"], model["name"]


def grain_of(model: Node, manifests: dict[str, Node]) -> list[str]:
    tests = generic_tests(manifests, model, "unique_combination_of_columns")
    if model["package_name"] == "serving":  # a view of one table has its grain, and its primary key keeps it
        grain = list(model["config"]["meta"]["grain"])
        if keeps_rows(model):
            [source] = (manifests["serving"]["sources"][name] for name in model["depends_on"]["nodes"])
            assert grain == grain_of(manifests["warehouse"]["nodes"][f"model.warehouse.{source['name']}"], manifests)
        return grain
    if model["config"]["materialized"] == "view":
        assert tests == [], f"{model['name']}: its grain is what it groups by; a test would aggregate it all again"
        if grain := model["config"]["meta"].get("grain"):  # a mart that is a view of the table of one other model
            [table] = (manifests["warehouse"]["nodes"][name] for name in model["depends_on"]["nodes"])
            assert (grain, keeps_rows(model)) == (grain_of(table, manifests), True), model["name"]
            return list(grain)
        return grouped_by(with_own_macros(model, manifests))
    if "Aggregating" in model["config"]["engine"]:
        assert tests == [], f"{model['name']}: ClickHouse merges its rows to one of each key"
        return list(model["config"]["order_by"])
    [unique] = tests
    return list(unique["test_metadata"]["kwargs"]["combination_of_columns"])


def keeps_rows(model: Node) -> bool:
    """Whether a model has the rows of its input, one for one."""
    return not re.search(r"\b(join|union|group by|where|distinct)\b", without_comments(model["raw_code"]))


def grouped_by(code: str) -> list[str]:
    """The columns of the last GROUP BY."""
    columns = re.findall(r"\bgroup by\s+([\w,\s]+?)\s*(?:\)|\{)", code)[-1]
    return [column.strip() for column in columns.split(",")]


def test_no_key_of_a_mart_can_be_null(marts: list[Node], manifests: dict[str, Node]) -> None:
    """By its contract, so that no test need look."""
    for mart in marts:
        types = {name: mart["columns"][name]["data_type"] for name in grain_of(mart, manifests)}
        assert not [name for name, type_ in types.items() if type_.startswith("Nullable")], mart["name"]


def test_every_data_test_says_what_it_proves(manifests: dict[str, Node]) -> None:
    tests = [node for node in every(manifests, "nodes") if node["resource_type"] == "test"]
    assert [test["name"] for test in tests if not test["description"]] == []


SHORT = {"unique_combination_of_columns": "grain", "accepted_range": "range"}


def test_a_data_tests_name_is_its_rule_and_model_and_fits_dagsters_list_of_checks(manifests: dict[str, Node]) -> None:
    """It is the name of a check in Dagster; dbt's own has all arguments in it. dbt wants each name once."""
    for test in (node for node in every(manifests, "nodes") if node["resource_type"] == "test"):
        rule, model = test["test_metadata"]["name"], test["attached_node"].rpartition(".")[2]
        assert re.fullmatch(rf"{SHORT.get(rule, rule)}(_\w+)?__{model}", test["name"]), test["name"]
        assert len(test["name"]) <= 52, test["name"]


def test_every_model_with_arithmetic_has_a_unit_test(manifests: dict[str, Node], models: list[Node]) -> None:
    tested = {test["model"] for test in every(manifests, "unit_tests")}
    arithmetic = re.compile(r"argMax|rank\(\)|count(if)?\(|sum\(|uniqExact", re.IGNORECASE)
    assert {model["name"] for model in models if arithmetic.search(with_own_macros(model, manifests))} <= tested


def with_own_macros(model: Node, manifests: dict[str, Node]) -> str:
    """A model's code, and that of the project's macros it calls, or that these call: a rule may stand there."""
    package = model["package_name"]
    macros = manifests[package]["macros"]
    own: list[Node] = []
    for caller in itertools.chain([model], own):  # which grows meanwhile
        called = (macros[name] for name in caller["depends_on"]["macros"])
        own.extend(macro for macro in called if macro["package_name"] == package and macro not in own)
    return without_comments("\n".join([model["raw_code"], *(macro["macro_sql"] for macro in own)]))


def test_every_mart_says_who_depends_on_it(marts: list[Node], models: list[Node], manifests: dict[str, Node]) -> None:
    exposed = {name for exposure in every(manifests, "exposures") for name in exposure["depends_on"]["nodes"]}
    views = [model for model in models if model["package_name"] == "serving"]
    assert [node["name"] for node in [*marts, *views] if node["unique_id"] not in exposed] == []


def test_relations_are_named_by_ref_and_source_only(models: list[Node]) -> None:
    for model in models:
        assert RELATION.findall(without_comments(model["raw_code"])) == [], model["name"]


def test_every_table_takes_its_engine_from_the_macro(models: list[Node]) -> None:
    tables = [model for model in models if model["config"]["materialized"] not in {"view", "ephemeral"}]
    for table in tables:
        assert "engine=merge_tree(" in table["raw_code"], table["name"]
        assert table["config"]["order_by"], table["name"]


def test_the_raw_tables_are_the_sources_with_their_sorting_keys(manifests: dict[str, Node]) -> None:
    described = {source["name"]: source["description"] for source in manifests["warehouse"]["sources"].values()}
    files = {path.stem: path.read_text() for path in RAW_TABLES.glob("*.sql")}
    assert described.keys() == files.keys()
    for name, sql in files.items():
        key = re.search(r"ORDER BY (\(.*\))", sql)
        assert key, name
        assert f"Sorted by {key[1]}" in described[name]


def test_every_raw_table_says_when_it_is_stale(manifests: dict[str, Node]) -> None:
    for source in manifests["warehouse"]["sources"].values():
        assert source["loaded_at_field"] == "insert_timestamp", source["name"]
        warn, error = (source["freshness"][level] for level in ("warn_after", "error_after"))
        assert minutes(warn) < minutes(error), source["name"]


def minutes(limit: Node) -> int:
    return int(limit["count"]) * {"minute": 1, "hour": 60, "day": 24 * 60}[limit["period"]]


def test_the_api_reads_what_the_marts_hold(manifests: dict[str, Node]) -> None:
    """The serving views stand on copies of the marts: dbt cannot see across, so their columns are compared here."""
    nodes = {node["name"]: node for node in every(manifests, "nodes") if node["resource_type"] == "model"}
    sources = manifests["serving"]["sources"]
    for view in (node for node in nodes.values() if node["package_name"] == "serving"):
        marts = {sources[source]["name"] for source in view["depends_on"]["nodes"]} & nodes.keys()
        held = {column for mart in marts for column in nodes[mart]["columns"]}
        computed = set(re.findall(r"\bas (\w+)", view["raw_code"]))
        if marts:
            assert view["columns"].keys() <= held | computed, view["name"]


def without_comments(sql: str) -> str:
    return COMMENT.sub("", sql)


def test_no_model_reads_the_clock_of_dbts_host() -> None:
    """It may be ahead of ClickHouse's, which says when events arrived."""
    clock = re.compile(r"run_started_at|modules\.datetime|env_var\(.*(TIME|NOW)")
    found = [
        path.name
        for project in PROJECTS.values()
        for path in project.rglob("*.sql")
        if "target" not in path.parts and clock.search(COMMENT.sub("", path.read_text()))
    ]
    assert found == []
