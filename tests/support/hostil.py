"""Un texto con HTML dentro, y celdas que lo enseñan con todo lo del paquete que escribe HTML (``WRITERS``)."""

HOSTILE = '<script>window.fired = 1</script><img src="no-existe.png" onerror="window.fired = 1">'
WRITERS = {"plots.py", "widgets.py", "cards.py", "recordings.py", "finetuning.py", "evidence.py"}
CELLS = [
    f"hostile = {HOSTILE!r}\n"
    "from course_utils import cards, decoding, plots\n"
    "from course_utils.checks import check\n"
    "from course_utils.models import load_model\n"
    "from course_utils.strategies import compare_strategies\n"
    "from course_utils.recordings import Shown, record\n"
    "from course_utils.widgets import EpochSlider, Explorer, SentenceBox\n"
    "model, tokenizer = load_model('decoder', 'mini')\n"
    "ids = tokenizer(hostile, return_tensors='pt').input_ids",
    "Explorer(model, tokenizer, hostile)",
    "SentenceBox(model, tokenizer, hostile)",
    "card = cards.Card(hostile, (hostile,), (-1.0,), hostile)\nEpochSlider([(hostile, card), ('después', card)])",
    "plots.Surprise([hostile, hostile], [1.0, 9.0])",
    "from course_utils.finetuning import Training\nTraining(hostile, 3)",
    "plots.show_text(ids, tokenizer, prompt_length=9, labels=[hostile])",
    "plots.show_table([{hostile: hostile}], caption=hostile)",
    "about = {'label': hostile, 'name': hostile, 'profile': '', 'date': ''}\n"
    "made = record(model, tokenizer, hostile, {'max_new_tokens': 3}, **about)\n"
    "Shown((made,), (made,))",
    "decoding.generate(model, ids, max_new_tokens=2, top_n=2).table(tokenizer)",
    "mine = {hostile: {'select': decoding.sample}}\n"
    "compare_strategies(model, tokenizer, hostile, mine, samples=2, max_new_tokens=4)",
    "from course_utils.project.evidence import evidence\nevidence(hostile, caption=hostile, **{hostile: hostile})",
    "check('2.1', hostile)\ncheck('5.1', lambda *a: hostile)",
]
