from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal

import pytest

from atone.storage import Disk, MemoryStore, SqliteStore, Store

Kind = Literal["sqlite", "memory"]
OpenStore = Callable[[], Awaitable[Store]]


@pytest.fixture
def anyio_backend() -> str:
    """The store is made for asyncio alone."""
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where a new store may be."""
    return str(tmp_path / "orders.db")


@pytest.fixture(params=["sqlite", "memory"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each store in turn."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
async def open_store(kind: Kind, path: str) -> AsyncIterator[OpenStore]:
    """Opens one more store on the same data, as another process would."""
    disk = Disk()
    async with AsyncExitStack() as stack:

        async def opened() -> Store:
            store: Store = SqliteStore(path) if kind == "sqlite" else MemoryStore(disk)
            await store.open()
            stack.push_async_callback(store.close)
            return store

        yield opened


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    """A new store, open."""
    return await open_store()


@pytest.fixture
async def other(open_store: OpenStore, store: Store) -> Store:
    """A second store on the same data."""
    return await open_store()
