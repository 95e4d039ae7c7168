"""Las ilustraciones del curso: un módulo por sesión. Las comparten el cuaderno y las diapositivas."""

from . import session_01, session_03, session_04, session_05, session_06, session_a1, session_a2
from .session_01 import changed_word, families, inside_transformer, qkv_strips, who_moved
from .session_03 import (
    beam_frames,
    knob_curves,
    left_padded,
    nucleus_staircase,
    pruned_too_soon,
    speculative_dialogue,
    top_k_cut,
)
from .session_04 import forgetting, labels_shifted, lora_to_scale, side_by_side
from .session_05 import chain, duel, perplexity_die, power, sliding_windows, surprise_chips
from .session_06 import by_kind, confusion, label_words, ladder, learning_curve, pooled, reliability, word_weights
from .session_a1 import conveyor, read_twice, unrolled
from .session_a2 import alignment, bottleneck, looking_back

__all__ = [
    "alignment",
    "beam_frames",
    "bottleneck",
    "by_kind",
    "chain",
    "changed_word",
    "confusion",
    "conveyor",
    "duel",
    "families",
    "forgetting",
    "inside_transformer",
    "knob_curves",
    "label_words",
    "labels_shifted",
    "ladder",
    "learning_curve",
    "left_padded",
    "looking_back",
    "lora_to_scale",
    "nucleus_staircase",
    "perplexity_die",
    "pooled",
    "power",
    "pruned_too_soon",
    "qkv_strips",
    "read_twice",
    "reliability",
    "session_01",
    "session_03",
    "session_04",
    "session_05",
    "session_06",
    "session_a1",
    "session_a2",
    "side_by_side",
    "sliding_windows",
    "speculative_dialogue",
    "surprise_chips",
    "top_k_cut",
    "unrolled",
    "who_moved",
    "word_weights",
]
