"""What deciding remembers from one pass to the next, and its plain JSON form. It remembers; it does not decide."""

from optimizer.state.document import decode_state, encode_state
from optimizer.state.memory import FleetState, ModelState, State
from optimizer.state.recall import recall_decisions

__all__ = ["FleetState", "ModelState", "State", "decode_state", "encode_state", "recall_decisions"]
