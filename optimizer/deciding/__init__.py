"""The stages of `decide`: see, propose, allocate, take steps, explain. Only `optimizer.decide` joins them."""

from optimizer.deciding.allocation import allocate
from optimizer.deciding.course import Course
from optimizer.deciding.explanation import explain
from optimizer.deciding.limiting import BrokenLimit, find_broken
from optimizer.deciding.proposing import Wish, ask_policy
from optimizer.deciding.shadowing import is_all_shadow, move_shadow, show_shadows
from optimizer.deciding.sight import Sight, see_model
from optimizer.deciding.steps import Settled, take_steps

__all__ = [
    "BrokenLimit",
    "Course",
    "Settled",
    "Sight",
    "Wish",
    "allocate",
    "ask_policy",
    "explain",
    "find_broken",
    "is_all_shadow",
    "move_shadow",
    "see_model",
    "show_shadows",
    "take_steps",
]
