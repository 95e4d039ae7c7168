"""Las ilustraciones del curso: un módulo por sesión. Las comparten el cuaderno y las diapositivas."""

from .session_01 import inside_transformer

__all__ = ["inside_transformer"]
