// Los cuestionarios de las sesiones, sin Python. El HTML ya lo trae todo (tools/site/quizzes.py): aquí solo se enseña
// lo que toca. Se contesta con el ratón o con el teclado: flechas o espacio para elegir, Intro para comprobar.

function chosenIn(question) {
  return [...question.querySelectorAll("input")].filter((input) => input.checked);
}

function isRight(question) {
  return [...question.querySelectorAll("input")].every((input) => input.checked === (input.dataset.correcta === "sí"));
}

// Qué se dice de una pregunta entera; de cada respuesta elegida habla su propia explicación.
function verdict(question, tries) {
  const chosen = chosenIn(question);
  if (chosen.length === 0) return "Elige antes una respuesta.";
  if (isRight(question)) return tries === 1 ? "Bien, a la primera." : "Ahora sí.";
  const allGood = chosen.every((input) => input.dataset.correcta === "sí");
  return allGood ? "Todo lo que has marcado vale, pero falta algo." : "Todavía no. Lee por qué y prueba otra vez.";
}

function explain(question) {
  for (const item of question.querySelectorAll("li")) {
    const input = item.querySelector("input");
    const explanation = item.querySelector(".explicacion");
    explanation.hidden = !input.checked;
    item.classList.toggle("bien", input.checked && input.dataset.correcta === "sí");
    item.classList.toggle("mal", input.checked && input.dataset.correcta !== "sí");
  }
}

function prepare(form) {
  const questions = [...form.querySelectorAll("fieldset")];
  const tries = new Map(questions.map((question) => [question, 0]));
  const atFirst = new Set();

  function check(question) {
    const box = question.querySelector(".respuesta");
    if (chosenIn(question).length > 0) tries.set(question, tries.get(question) + 1);
    if (tries.get(question) === 1 && isRight(question)) atFirst.add(question);
    explain(question);
    const said = [...question.querySelectorAll(".explicacion:not([hidden])")].map((one) => one.textContent);
    box.textContent = verdict(question, tries.get(question));
    // Quien no ve la pantalla oye también el porqué; quien la ve ya lo tiene junto a su respuesta.
    const spoken = document.createElement("span");
    spoken.className = "visually-hidden";
    spoken.textContent = " " + said.join(" ");
    box.append(spoken);
    if (questions.every((one) => isRight(one))) {
      form.querySelector(".marcador").textContent = `Terminado: ${atFirst.size} de ${questions.length} a la primera.`;
    }
  }

  for (const question of questions) question.querySelector("button").hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    // Intro desde una respuesta envía con el primer botón del formulario: se comprueba la pregunta en la que se está.
    const question = (document.activeElement ?? event.submitter).closest("fieldset") ?? event.submitter.closest("fieldset");
    check(question);
  });
  form.addEventListener("change", (event) => {
    const question = event.target.closest("fieldset");
    question.querySelector(".respuesta").textContent = "";
    for (const item of question.querySelectorAll("li")) item.classList.remove("bien", "mal");
    for (const explanation of question.querySelectorAll(".explicacion")) explanation.hidden = true;
  });
}

for (const form of document.querySelectorAll("form.cuestionario")) prepare(form);
