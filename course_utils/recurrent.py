"""El modelo recurrente del curso: una LSTM que predice el token siguiente y se usa como los demás decodificadores.

Transformers no trae ninguna LSTM, así que aquí se le da la forma de un modelo suyo: ``from_pretrained``, ``generate`` y
todo lo de ``course_utils`` valen para ella. Se enseña en la sesión A1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForCausalLM, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput


class State(list):
    """Lo que la LSTM recuerda: ``h`` y ``c``, cada uno (capas, B, H). No crece por mucho que lea."""

    def reorder_cache(self, rows: torch.Tensor) -> None:
        """La fila k pasa a ser la ``rows[k]``, como pide la búsqueda en haz."""
        self[:] = [part.index_select(1, rows) for part in self]


class LSTMConfig(PretrainedConfig):
    """Medidas de la LSTM: vocabulario, vectores de entrada (E), estado (H), capas y *dropout* (al entrenar)."""

    model_type = "lstm"

    def __init__(
        self, vocab_size=4096, embedding_size=256, hidden_size=560, num_hidden_layers=2, dropout=0.0, **kwargs
    ):
        self.vocab_size = vocab_size
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.dropout = dropout
        super().__init__(**{"tie_word_embeddings": True, **kwargs})


@dataclass
class LSTMOutput(ModelOutput):
    """Lo que devuelve: ``loss`` (nats por token, si hay ``labels``), ``logits`` (B, T, V) y ``state``."""

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    state: State | None = None


class LSTMForCausalLM(PreTrainedModel, GenerationMixin):
    """Vector de cada token, capas de ``torch.nn.LSTM`` y los mismos vectores para puntuar el siguiente.

    Todo lo leído cabe en ``state``, que no crece: leer un token más cuesta siempre lo mismo. No tiene contexto máximo
    ni sabe saltarse el relleno: en un lote, las filas tienen el mismo largo o el relleno va a la derecha.

    Raises
    ------
    ValueError
        Al leer, si el relleno está a la izquierda: entraría en el estado como si fuera texto.

    Notes
    -----
    Hochreiter y Schmidhuber (1997). Se enseña en la sesión A1.
    """

    config_class = LSTMConfig
    base_model_prefix = "model"  # no hay otro modelo dentro: la base es ella misma
    _tied_weights_keys: ClassVar = {"head.weight": "embeddings.weight"}
    _is_stateful = True  # para generate: la caché es un estado, que no se puede recortar

    def __init__(self, config: LSTMConfig):
        super().__init__(config)
        self.embeddings = torch.nn.Embedding(config.vocab_size, config.embedding_size)
        sizes = config.embedding_size, config.hidden_size, config.num_hidden_layers
        self.lstm = torch.nn.LSTM(*sizes, batch_first=True, dropout=config.dropout)
        self.drop = torch.nn.Dropout(config.dropout)
        self.projection = torch.nn.Linear(config.hidden_size, config.embedding_size)
        self.head = torch.nn.Linear(config.embedding_size, config.vocab_size, bias=False)
        self.post_init()

    def _init_weights(self, module) -> None:
        """Valores iniciales: la puerta del olvido, abierta (sesgo 1); los vectores, del tamaño que la LSTM nota."""
        with torch.no_grad():
            if isinstance(module, torch.nn.LSTM):
                bound = module.hidden_size**-0.5
                for name, p in module.named_parameters():
                    p.zero_() if "bias" in name else p.uniform_(-bound, bound)
                    if "bias_ih" in name:
                        p[module.hidden_size : 2 * module.hidden_size] = 1.0
            elif isinstance(module, torch.nn.Linear | torch.nn.Embedding):
                module.weight.normal_(std=module.weight.size(1) ** -0.5)
                if getattr(module, "bias", None) is not None:
                    module.bias.zero_()

    def get_input_embeddings(self):
        return self.embeddings

    def set_input_embeddings(self, value) -> None:
        self.embeddings = value

    def get_output_embeddings(self):
        return self.head

    def set_output_embeddings(self, value) -> None:
        self.head = value

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        state: State | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        return_dict: bool | None = None,
        logits_to_keep: int = 0,
    ) -> LSTMOutput:
        """Lee ``input_ids`` (B, T) desde ``state`` y da los logits del token siguiente en cada posición.

        Parameters
        ----------
        input_ids : torch.Tensor
            (B, T).
        attention_mask : torch.Tensor, optional
            (B, T). Se mira que el relleno, si lo hay, esté a la derecha, donde no estorba a lo que va antes.
        state : tuple of torch.Tensor, optional
            El que devolvió la llamada anterior; sin él, se empieza sin haber leído nada.
        labels : torch.Tensor, optional
            (B, T), los propios ids: se desplazan aquí dentro; −100 no cuenta.
        logits_to_keep : int
            Logits de las últimas posiciones solamente; 0, de todas.

        Raises
        ------
        ValueError
            Si el relleno está a la izquierda: entraría en el estado como si fuera texto.
        """
        if attention_mask is not None and not bool(attention_mask[:, 0].all()):
            rows = (attention_mask[:, 0] == 0).nonzero().flatten().tolist()
            raise ValueError(
                f"Las filas {rows} empiezan por relleno, y una LSTM lo leería como texto. Ponlo a la derecha "
                "(tokenizer.padding_side = 'right') o pasa las filas de una en una."
            )
        vectors = self.drop(self.embeddings(input_ids))  # (B, T, E)
        # Para un solo token, oneDNN tarda más en recolocar los pesos que en usarlos: sin él, unas cuatro veces menos.
        allowed = torch.backends.mkldnn.enabled
        torch.backends.mkldnn.enabled = allowed and input_ids.size(1) > 1
        try:
            outputs, state = self.lstm(vectors, state and tuple(state))  # (B, T, H)
        finally:
            torch.backends.mkldnn.enabled = allowed
        logits = self.head(
            self.projection(self.drop(outputs[:, -logits_to_keep:]))
        )  # (B, T, V); −0 es desde el principio
        loss = None if labels is None else cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return LSTMOutput(loss=loss, logits=logits, state=State(state) if use_cache else None)

    def prepare_inputs_for_generation(
        self, input_ids, attention_mask=None, state=None, use_cache=None, **kwargs
    ) -> dict:
        """Lo que ``generate`` le pasa en cada paso: con estado, solo el token que falta por leer."""
        inputs = {"input_ids": input_ids if state is None else input_ids[:, -1:], "attention_mask": attention_mask}
        return inputs | {"state": state, "use_cache": use_cache}

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # ni claves ni valores que guardar: generate no debe prepararle una caché


# Con esto, y este módulo importado, AutoModelForCausalLM.from_pretrained también la carga.
AutoConfig.register(LSTMConfig.model_type, LSTMConfig, exist_ok=True)
AutoModelForCausalLM.register(LSTMConfig, LSTMForCausalLM, exist_ok=True)
