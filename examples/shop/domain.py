"""What the shop talks about: its orders, what becomes of them, and what people say about them."""

from __future__ import annotations

from attrs import frozen


@frozen
class Order:
    """What a customer bought; the input of the saga."""

    id: str
    customer: str | None  #: `None` for a guest
    country: str
    sku: str
    quantity: int
    total_pence: int


@frozen
class Reservation:
    """Goods that the warehouse keeps for an order."""

    reference: str


@frozen
class Screening:
    """What the fraud check thinks of an order."""

    risk: float


@frozen
class Charge:
    """Money taken from the customer."""

    reference: str


@frozen
class Shipment:
    """Goods on their way; they do not come back."""

    reference: str


@frozen
class Confirmation:
    """The letter to the customer."""

    reference: str


@frozen
class Approve:
    """A person lets a large order pass."""

    by: str


@frozen
class Decline:
    """A person stops a large order."""

    by: str
    why: str
