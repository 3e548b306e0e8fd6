"""How long one iteration of one replica takes. No queues, no targets."""

from optimizer.performance.context_line import ContextLine
from optimizer.performance.iteration import IterationTime, to_iteration_time
from optimizer.performance.law import LinearIterationTime
from optimizer.performance.table import MeasuredIterationTime

__all__ = ["ContextLine", "IterationTime", "LinearIterationTime", "MeasuredIterationTime", "to_iteration_time"]
