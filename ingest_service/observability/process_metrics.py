"""Metrics of every process: CPU, memory and open files, and its version."""

from importlib.metadata import PackageNotFoundError, version
from platform import python_version

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

_PACKAGE = "gcc"


def add_to(registry: CollectorRegistry, service: str) -> None:
    """Register process_* and gcc_build_info{service, version, python}."""
    ProcessCollector(registry=registry)
    info = Gauge("gcc_build_info", "1; the labels say what runs", ["service", "version", "python"], registry=registry)
    info.labels(service, _version(), python_version()).set(1)


def _version() -> str:
    try:
        return version(_PACKAGE)
    except PackageNotFoundError:
        return "unknown"
