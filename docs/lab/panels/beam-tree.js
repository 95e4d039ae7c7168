// El dibujo del árbol de una búsqueda en haz: una columna por paso y, en cada una, sus ramas, de más a menos probable.

import { number, percent } from "../format.js";
import { el, heard } from "../ui/dom.js";

/** Lo que es cada rama, con una señal que no depende del color. */
export const SIGNS = { viva: "✓", podada: "✗", terminada: "■" };

/** Dibuja el árbol. Con `found`, señala la rama que gana y la de la búsqueda voraz. */
export function drawTree(board, { tree, found, names, write, root }) {
  const best = found ? follow(tree, found.beam.ids) : new Set();
  const greedy = found ? follow(tree, found.greedy.ids) : new Set();
  const steps = 1 + Math.max(...tree.map((node) => node.step));
  const boxes = new Map();
  const columns = Array.from({ length: steps }, (_, step) =>
    el("ol", { class: "beam-step", "aria-label": `Paso ${step + 1}` }, el("li", { class: "beam-head", "aria-hidden": "true", text: `paso ${step + 1}` }),
      tree.filter((node) => node.step === step).map((node) => {
        const box = branchBox(tree, node, { names, write, best, greedy });
        boxes.set(node.index, box);
        return el("li", {}, box);
      })));
  const start = el("div", { class: "beam-root", text: root });
  const edges = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  edges.setAttribute("class", "beam-edges");
  edges.setAttribute("aria-hidden", "true");
  const inside = el("div", { class: "beam-board" }, edges, el("div", { class: "beam-step" }, el("div", { class: "beam-head", "aria-hidden": "true", text: "tu texto" }), start), columns);
  const focused = board.contains(document.activeElement) ? document.activeElement.dataset.index : null;
  board.replaceChildren(inside);
  boxes.values().next().value.tabIndex = 0;
  inside.addEventListener("keydown", (event) => moveInTree(event, tree, boxes));
  drawEdges(edges, inside, tree, boxes, start, best);
  if (focused !== null) boxes.get(Number(focused))?.focus();
}

/** Los índices de los nodos de una rama, hasta donde esté en el árbol. */
function follow(tree, ids) {
  const found = new Set();
  let parent = -1;
  for (const [step, id] of ids.entries()) {
    const node = tree.find((one) => one.step === step && one.parent === parent && one.token === id);
    if (!node) break;
    found.add(node.index);
    parent = node.index;
  }
  return found;
}

const branchIds = (tree, node) => (node.parent === -1 ? [node.token] : [...branchIds(tree, tree[node.parent]), node.token]);

function branchBox(tree, node, { names, write, best, greedy }) {
  const ids = branchIds(tree, node);
  const marks = `${best.has(node.index) ? "★" : ""}${greedy.has(node.index) ? "V" : ""}`;
  const also = `${best.has(node.index) ? ", de la que gana" : ""}${greedy.has(node.index) ? ", de la voraz" : ""}`;
  const title = `${names(ids).join(" ")}: log P ${number(node.total, 2)}, P ${percent(Math.exp(node.total), 2)}. Pulsa para escribirla.`;
  return el("button", { type: "button", class: `beam-node ${node.status}${best.has(node.index) ? " best" : ""}`, tabindex: "-1", title,
    data: { index: node.index }, onclick: () => write(ids) },
    el("span", { class: "beam-token", text: names([node.token])[0] }), " ",
    el("span", { class: "beam-total", text: number(node.total, 2) }),
    heard(` nats, ${node.status}${also}`),
    el("span", { class: "beam-sign", "aria-hidden": "true", text: `${marks}${SIGNS[node.status]}` }));
}

/** Flechas: arriba y abajo, en la columna; a la izquierda, de quién viene; a la derecha, la primera que sale de ella. */
function moveInTree(event, tree, boxes) {
  const node = tree[Number(event.target.dataset?.index)];
  if (!node) return;
  const column = tree.filter((one) => one.step === node.step);
  const place = column.indexOf(node);
  const targets = {
    ArrowUp: column[place - 1],
    ArrowDown: column[place + 1],
    ArrowLeft: tree[node.parent],
    ArrowRight: tree.find((one) => one.parent === node.index),
  };
  if (!(event.key in targets)) return;
  event.preventDefault();
  const target = targets[event.key];
  if (!target) return;
  event.target.tabIndex = -1;
  boxes.get(target.index).tabIndex = 0;
  boxes.get(target.index).focus();
}

/** Las líneas de cada rama a la de la que sale; en gris y a trazos las podadas, gruesa la que gana. */
function drawEdges(svg, inside, tree, boxes, start, best) {
  svg.setAttribute("width", inside.scrollWidth);
  svg.setAttribute("height", inside.scrollHeight);
  for (const node of tree) {
    const from = node.parent === -1 ? start : boxes.get(node.parent);
    const to = boxes.get(node.index);
    const [x1, y1] = [from.offsetLeft + from.offsetWidth, from.offsetTop + from.offsetHeight / 2];
    const [x2, y2] = [to.offsetLeft, to.offsetTop + to.offsetHeight / 2];
    const middle = (x1 + x2) / 2;
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    line.setAttribute("d", `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`);
    line.setAttribute("class", `beam-edge ${node.status}${best.has(node.index) ? " best" : ""}`);
    svg.append(line);
  }
}
