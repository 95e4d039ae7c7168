"""Las ilustraciones del curso: un módulo por sesión. Las comparten el cuaderno y las diapositivas."""

from .session_01 import inside_transformer
from .session_04 import forgetting, labels_shifted, lora_to_scale, side_by_side

__all__ = ["forgetting", "inside_transformer", "labels_shifted", "lora_to_scale", "side_by_side"]
