"""Why a job does not run, or a queue is slow: the causes, what decides first, each with what will unblock it. Changes nothing."""

from .codes import CODES, Cause, Why
from .judging import why, why_queue

__all__ = ["CODES", "Cause", "Why", "why", "why_queue"]
