// Los cambios que caben en un módulo de JavaScript: por la entrada, su código; por la salida, una lista JSON de sitios,
// cada uno con sus cambios, `{ from, to, line, changes: [{ name, text }] }`. El analizador es el que Node lleva dentro:
//
//   node --expose-internals tools/mutation_lab.cjs < docs/lab/format.js

const acorn = require("internal/deps/acorn/acorn/dist/acorn");
const { full } = require("internal/deps/acorn/acorn-walk/dist/walk");

const SWAPS = {
  "<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"], "===": ["!=="], "!==": ["==="],
  "+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"], "%": ["*"], "**": ["*"],
  "<<": [">>"], ">>": ["<<"], ">>>": [">>"], "&": ["|"], "|": ["&"], "^": ["|"],
  "&&": ["||"], "||": ["&&"], "??": ["&&"],
  "=": [], "+=": ["-="], "-=": ["+="], "*=": ["/="], "/=": ["*="], "??=": ["="],
};
const METHODS = { min: "max", max: "min", ceil: "floor", floor: "ceil", some: "every", every: "some", indexOf: "lastIndexOf", find: "findLast", findIndex: "findLastIndex", startsWith: "endsWith", endsWith: "startsWith", add: "delete" };

const source = require("node:fs").readFileSync(0, "utf8");
const sites = new Map();
const code = (node) => source.slice(node.start, node.end);

function site(node, changes) {
  const key = `${node.start}-${node.end}`;
  if (!sites.has(key)) sites.set(key, { from: node.start, to: node.end, line: node.loc.start.line, changes: [] });
  sites.get(key).changes.push(...changes.map(([name, text]) => ({ name, text })));
}

const isText = (node) => (node.type === "Literal" && typeof node.value === "string") || node.type === "TemplateLiteral";

/** Cambia el signo que hay entre dos partes. */
function swap(node, left, right) {
  const between = source.slice(left.end, right.start);
  for (const other of SWAPS[node.operator] ?? []) {
    site(node, [[`${node.operator} → ${other}`, code({ start: node.start, end: left.end }) + between.replace(node.operator, other) + code({ start: right.start, end: node.end })]]);
  }
}

const VISIT = {
  BinaryExpression(node) {
    if (node.operator === "+" && (isText(node.left) || isText(node.right))) return; // pegar textos
    swap(node, node.left, node.right);
  },
  LogicalExpression: (node) => swap(node, node.left, node.right),
  AssignmentExpression: (node) => swap(node, node.left, node.right),
  UpdateExpression(node) {
    const other = node.operator === "++" ? "--" : "++";
    site(node, [[`${node.operator} → ${other}`, code(node).replace(node.operator, other)]]);
  },
  UnaryExpression(node) {
    if (node.operator === "!" || (node.operator === "-" && node.argument.type !== "Literal")) site(node, [[`sin ${node.operator}`, `(${code(node.argument)})`]]);
  },
  Literal(node) {
    if (typeof node.value === "number") site(node, [["más uno", `(${node.raw} + 1)`], ["menos uno", `(${node.raw} - 1)`]]);
    if (typeof node.value === "boolean") site(node, [["lo contrario", String(!node.value)]]);
  },
  MemberExpression(node) {
    const other = !node.computed && METHODS[node.property.name];
    if (other) site(node.property, [[`${node.property.name} → ${other}`, other]]);
  },
  // Lo que se hace; dar nombre a algo no se quita, porque sin eso casi nada puede seguir.
  ExpressionStatement: (node) => site(node, [["sin instrucción", ";"]]),
  ReturnStatement: (node) => site(node, [["sin return", ";"]]),
  ThrowStatement: (node) => site(node, [["sin throw", ";"]]),
  BreakStatement: (node) => site(node, [["sin break", ";"]]),
  ContinueStatement: (node) => site(node, [["sin continue", ";"]]),
};

function negate(node) {
  if (!node.test) return;
  site(node.test, [["condición al revés", `!(${code(node.test)})`]]);
}
for (const kind of ["IfStatement", "ConditionalExpression", "ForStatement", "WhileStatement"]) VISIT[kind] = negate;

full(acorn.parse(source, { ecmaVersion: "latest", sourceType: "module", locations: true }), (node) => VISIT[node.type]?.(node));

/** Lo cambiado tiene que ser todavía un módulo. */
const parses = (text) => {
  try {
    acorn.parse(text, { ecmaVersion: "latest", sourceType: "module" });
    return true;
  } catch {
    return false;
  }
};
const found = [...sites.values()].sort((a, b) => a.from - b.from || a.to - b.to);
for (const one of found) one.changes = one.changes.filter(({ text }) => parses(source.slice(0, one.from) + text + source.slice(one.to)));
console.log(JSON.stringify(found.filter((one) => one.changes.length)));
