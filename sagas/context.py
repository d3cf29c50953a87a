"""What a step is told about itself."""

from __future__ import annotations

import hashlib

from ..storage import frozen


@frozen(kw_only=True)
class StepContext:
    """Handed to a step that asks for it by annotating a parameter with this type.

    In a unit test: `StepContext(key="k")`.
    """

    #: The idempotency key of this call: the same over retries, restarts and machines. Hand it to the
    #: participant, which must answer a repeat with its first answer.
    key: str
    #: In a compensation or a probe: the key of the action. A participant must refuse, for ever, an action
    #: whose key was compensated (a tombstone): it may arrive late. In an action the same as `key`.
    action_key: str = ""
    saga: str = ""
    order_id: str = ""
    step: str = ""
    attempt: int = 1  #: rises with every try; for logs, never for keys
    epoch: int = 0  #: of the host; a participant may refuse a call from a lower one than it has seen


def idempotency_key(saga: str, order_id: str, step: str, direction: str) -> str:
    """The key of one direction of one step of one order: 32 hexadecimal digits.

    A hash, because participants limit the length of keys and their alphabet; each part is prefixed with
    its length, so that no two lists of parts give the same text.
    """
    text = "".join(f"{len(part)}:{part}" for part in (saga, order_id, step, direction))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
