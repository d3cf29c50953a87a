"""A web shop: real orders, participants that misbehave, and a coordinator that is killed on the way.

Run it with `python -m examples.shop --kill 3`. To read it, begin with `saga.py`; then

- `domain.py`, `invoices.py`, `make_sample.py`: the orders and where they come from
- `ledger.py`, `clerk.py`, `mischief.py`, `wire.py`, `participants.py`: the world outside, with its own books
- `replay.py`: the process that hosts the coordinator, and is killed
- `campaign.py`, `approver.py`: the process that kills it, restarts it and approves its large orders
- `audit.py`, `report.py`: what the books say in the end
"""
