"""Las ilustraciones del curso: un módulo por sesión. Las comparten el cuaderno y las diapositivas."""

from .session_01 import inside_transformer
from .session_05 import chain, duel, perplexity_die, sliding_windows, surprise_chips

__all__ = ["chain", "duel", "inside_transformer", "perplexity_die", "sliding_windows", "surprise_chips"]
