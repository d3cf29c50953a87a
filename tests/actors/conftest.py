import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Actors are made for asyncio alone."""
    return "asyncio"
