// Lo mismo, en Python: con `generate` de transformers y con course_utils. Se copian y funcionan donde esté el curso.

/** [{title, code}] para un estado: `ids` es null si se empieza en el prompt. */
export function snippets({ prompt, ids, settings, room }) {
  const start = { prompt, ids, count: Math.min(settings.maxNewTokens, room) };
  return [
    { title: "Con transformers", code: withTransformers(start, settings) },
    { title: "Con course_utils", code: withCourse(start, settings) },
  ];
}

function withTransformers(start, settings) {
  const greedy = settings.temperature === 0;
  const chosen = active(settings).map(([name, value]) => `${name}=${value}`);
  // Sin decir nada, generate usa top_k=50: aquí, apagado es apagado.
  if (!greedy && settings.topK === 0) chosen.push("top_k=0");
  const options = [`do_sample=${greedy ? "False" : "True"}`, ...chosen, `max_new_tokens=${start.count}`];
  return lines(
    "import torch",
    "",
    "from course_utils.models import load_model",
    "",
    'model, tokenizer = load_model("decoder", "mini")  # el modelo del laboratorio',
    ...begin(start),
    ...seed(settings),
    "written = model.generate(",
    "    ids,",
    "    attention_mask=torch.ones_like(ids),  # no hay relleno",
    ...options.map((option) => `    ${option},`),
    ")",
    "print(tokenizer.decode(written[0], skip_special_tokens=True))",
  );
}

function withCourse(start, settings) {
  const greedy = settings.temperature === 0;
  const select = greedy ? "greedy" : "sample";
  const transforms = active(settings);
  const names = ["generate", select, ...transforms.map(([name]) => name)].sort();
  return lines(
    "import torch",
    "",
    `from course_utils.decoding import ${names.join(", ")}`,
    "from course_utils.models import load_model",
    "",
    'model, tokenizer = load_model("decoder", "mini")  # el modelo del laboratorio',
    ...begin(start),
    ...seed(settings),
    "written = generate(",
    "    model,",
    "    ids,",
    `    transforms=[${transforms.map(([name, value]) => `${name}(${value})`).join(", ")}],`,
    `    select=${select},`,
    `    max_new_tokens=${start.count},`,
    "    eos_token_id=tokenizer.eos_token_id,",
    ")",
    "print(written.text(tokenizer))",
  );
}

/** Los mandos encendidos, con su nombre en Python y en el orden de Hugging Face; con temperatura 0, solo la penalización. */
function active({ temperature, topK, topP, minP, repetitionPenalty }) {
  const all = [];
  if (repetitionPenalty !== 1) all.push(["repetition_penalty", decimal(repetitionPenalty)]);
  if (temperature === 0) return all;
  if (temperature !== 1) all.push(["temperature", decimal(temperature)]);
  if (topK !== 0) all.push(["top_k", String(topK)]);
  if (topP !== 1) all.push(["top_p", decimal(topP)]);
  if (minP !== 0) all.push(["min_p", decimal(minP)]);
  return all;
}

function begin({ prompt, ids }) {
  if (ids) return ["# Lo que hay escrito, token a token: al volver a partir el texto podrían salir otros.", `ids = torch.tensor([[${ids.join(", ")}]])`];
  if (prompt === "") return ["ids = torch.tensor([[tokenizer.eos_token_id]])  # sin principio: como al empezar una obra"];
  return [`prompt = ${quote(prompt)}`, 'ids = tokenizer(prompt, return_tensors="pt").input_ids'];
}

const seed = (settings) => (settings.temperature === 0 ? [] : ["", `torch.manual_seed(${settings.seed})`]);

/** transformers pide decimales: 2.0 y no 2. */
const decimal = (value) => (Number.isInteger(value) ? `${value}.0` : String(value));

/**
 * Un texto entre comillas, que Python lee igual que JSON. Lo que cambia el sentido de la escritura sin verse va con su
 * código: pegado en un programa podría hacer que se leyera una cosa y se ejecutara otra.
 */
function quote(text) {
  const hidden = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]/g;
  const json = JSON.stringify(text.toWellFormed?.() ?? text);
  return [...json].map((one) => (one.length > 1 ? one : one.replace(hidden, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`))).join("");
}

const lines = (...all) => `${all.join("\n")}\n`;
