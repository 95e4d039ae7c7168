"""Las ilustraciones del curso: un módulo por sesión. Las comparten el cuaderno y las diapositivas."""

from . import session_01
from .session_01 import changed_word, families, inside_transformer, qkv_strips, who_moved

__all__ = ["changed_word", "families", "inside_transformer", "qkv_strips", "session_01", "who_moved"]
