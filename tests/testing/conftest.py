import pytest

from atone.pytest_plugin import sim

__all__ = ["sim"]


@pytest.fixture
def anyio_backend() -> str:
    """The engine is made for asyncio alone."""
    return "asyncio"
