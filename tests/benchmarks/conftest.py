import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The engine is made for asyncio alone."""
    return "asyncio"
