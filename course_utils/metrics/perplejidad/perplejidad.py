"""La perplejidad exacta de un modelo de lenguaje causal en unos textos, con ventana deslizante.

Dice entre cuántos tokens igual de probables duda el modelo, de media, en cada paso: exp(media de -log P(token |
anteriores)). Cuanto menor, menos le sorprenden los textos. No mide si son buenos, y solo se puede comparar entre
modelos con el mismo tokenizador. Las cuentas son las de ``course_utils.scoring``.
"""

# Un import por línea: evaluate lee estas líneas para saber qué bibliotecas hacen falta.
import inspect

import datasets
import evaluate

from course_utils._validate import texts
from course_utils.scoring import perplexity

_CITATION = """\
@article{jelinek1977perplexity,
  title = {Perplexity---a measure of the difficulty of speech recognition tasks},
  author = {Jelinek, F. and Mercer, R. L. and Bahl, L. R. and Baker, J. K.},
  journal = {The Journal of the Acoustical Society of America},
  volume = {62},
  number = {S1},
  pages = {S63},
  year = {1977},
  doi = {10.1121/1.2016299},
}
"""


class Perplejidad(evaluate.Metric):
    """Cómo se usa ``compute``.

    Parameters
    ----------
    predictions : iterable of str
        Los textos, del largo que sea. Cada uno debe tener al menos un token que puntuar.
    model : PreTrainedModel
        Un decodificador (AutoModelForCausalLM) en modo evaluación.
    tokenizer : PreTrainedTokenizerBase
        El suyo. No hace falta que tenga token de relleno.
    window : int, optional
        Tokens que ve el modelo a la vez, de 2 al contexto; por defecto, todo el contexto, hasta 2048.
    stride : int, optional
        Lo que avanza la ventana, de 1 a window; por defecto, la mitad.
    add_start_token : bool
        Puntúa también el primer token, tras el BOS o el EOS. Por defecto, True.
    start_every_window : bool, optional
        Repite el BOS delante de cada ventana. Por defecto, solo si el tokenizador lo pone en cada texto.
    batch_size : int, optional
        Ventanas por lote, como mucho. Por defecto, las que hacen el lote más rápido.
    progress : bool
        Muestra una barra de progreso. Por defecto, False.

    Returns
    -------
    dict
        perplexities: la perplejidad de cada texto, en su orden; mean_perplexity: la media de esas perplejidades, en la
        que cada texto pesa lo mismo; corpus_perplexity: la de todos los textos juntos, en la que cada token pesa lo
        mismo.

    Raises
    ------
    ValueError
        En español y antes de calcular nada: por lo mismo que course_utils.scoring.perplexity.

    Examples
    --------
    >>> import evaluate
    >>> from course_utils import metrics
    >>> from course_utils.models import load_model
    >>> model, tokenizer = load_model("decoder", "mini")
    >>> perplejidad = evaluate.load(metrics.path("perplejidad"))
    >>> result = perplejidad.compute(predictions=["Había una vez un rey."], model=model, tokenizer=tokenizer)
    >>> sorted(result)
    ['corpus_perplexity', 'mean_perplexity', 'perplexities']
    >>> result["mean_perplexity"] < 4096  # menos que elegir al azar entre los 4096 tokens
    True

    Notes
    -----
    Se enseña en la sesión 05.
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            module_type="metric",
            description=__doc__,
            citation=_CITATION,
            inputs_description=inspect.cleandoc(type(self).__doc__),
            features=datasets.Features({"predictions": datasets.Value("string")}),
        )

    def compute(self, *, predictions=None, **options) -> dict:
        """``compute`` de evaluate, que de un texto suelto haría una lista de letras, y de unos números, textos."""
        return super().compute(predictions=texts(predictions), **options)

    def _compute(self, predictions, model, tokenizer, **options) -> dict:
        corpus = perplexity(model, tokenizer, predictions, **options)
        values = [text.value for text in corpus.per_text]
        return {
            "perplexities": values,
            "mean_perplexity": sum(values) / len(values),
            "corpus_perplexity": corpus.value,
        }
