// La sesión: qué hay escrito, con qué mandos, y lo que se puede hacer. No dibuja nada: avisa a quien escuche.
//
// Todo pasa por una cola, de uno en uno: pulsar «Un paso» tres veces da tres pasos. Lo que cambia de tema (otro
// principio, otra rama, parar) interrumpe lo que se esté haciendo y se salta lo que esperaba.

import { LabError } from "../engine/index.js";
import { choose } from "./distribution.js";
import { INITIAL, validate } from "./settings.js";
import { createBranches, isPrefix } from "./branches-store.js";

const MOST_NODES = 1000; // 39 MB: al pasar de aquí se sueltan los más viejos, que si hacen falta se leen otra vez

export function createSession() {
  const listeners = new Map();
  const state = { prompt: "", promptNode: null, node: null, settings: { ...INITIAL }, busy: false, running: false };
  const branches = createBranches();
  let tail = Promise.resolve();
  let pending = 0;
  let epoch = 0;
  let controller = null;

  // inUse: funciones que dan el nodo, o nada, que un panel tiene a la vista y no se puede soltar.
  const app = { engine: null, state, branches, inUse: [] };

  app.on = (event, listener) => {
    if (!listeners.has(event)) listeners.set(event, new Set());
    listeners.get(event).add(listener);
    return () => listeners.get(event).delete(listener);
  };
  app.emit = (event, detail) => listeners.get(event)?.forEach((listener) => listener(detail));
  app.fail = (error) => app.emit("error", error);

  // ---------------------------------------------------------------- la cola
  function enqueue(task, { urgent = false } = {}) {
    if (urgent) interrupt();
    const mine = epoch;
    pending += 1;
    app.emit("error", null); // lo que se hace ahora deja atrás lo que falló antes
    setBusy(true);
    const done = tail.then(async () => {
      if (mine !== epoch) return undefined;
      controller = new AbortController();
      const { signal } = controller;
      try {
        return await task(signal);
      } catch (error) {
        if (!signal.aborted) app.fail(error);
        return undefined;
      } finally {
        controller = null;
        app.engine.trim(MOST_NODES, [state.node, ...app.inUse.map((node) => node())].filter(Boolean));
      }
    });
    tail = done.finally(() => {
      pending -= 1;
      if (pending === 0) setBusy(false);
    });
    return tail;
  }

  function interrupt() {
    epoch += 1;
    controller?.abort();
  }

  function setBusy(busy) {
    if (state.busy === busy) return;
    state.busy = busy;
    app.emit("busy", busy);
  }

  // ---------------------------------------------------------------- dónde se está
  /** Los ids escritos tras el prompt. */
  app.written = () => (state.node ? app.engine.ids(state.node).slice(state.promptNode.depth) : []);

  /** Lo que se lee: [el prompt, lo que sigue]. */
  app.texts = () => {
    const whole = app.text();
    const given = app.engine.tokenizer.decode(app.engine.ids(state.promptNode));
    // Un prompt que acaba a media letra cambia al completarse: lo añadido empieza donde dejan de parecerse.
    let same = 0;
    while (same < given.length && given[same] === whole[same]) same += 1;
    return [given.slice(0, same), whole.slice(same)];
  };

  /** El texto entero. */
  app.text = () => app.engine.tokenizer.decode(app.engine.ids(state.node));

  /** Cuántos tokens caben todavía. */
  app.room = () => app.engine.config.n_positions - (state.node?.depth ?? 0);

  function moveTo(node) {
    branches.remember(snapshot());
    state.node = node;
    branches.remember(snapshot());
    app.emit("node", node);
  }

  function snapshot() {
    if (!state.node) return null;
    const ids = app.engine.ids(state.node);
    return { prompt: state.prompt, length: state.promptNode.depth, ids };
  }

  /** Los ids de un texto. El vacío empieza en el EOS, como el principio de una obra. */
  app.encode = (text) => {
    const ids = app.engine.tokenizer.encode(text);
    return ids.length ? ids : [app.engine.config.eos];
  };

  async function read(text, written, signal) {
    const ids = app.encode(text);
    requireRoom(ids.length + written.length);
    const promptNode = await app.engine.extend(null, ids, { signal });
    const node = written.length ? await app.engine.extend(promptNode, written, { signal }) : promptNode;
    branches.remember(snapshot());
    Object.assign(state, { prompt: text, promptNode, node });
    branches.remember(snapshot());
    app.fail(null);
    app.emit("prompt", text);
    app.emit("node", node);
    return node;
  }

  function requireRoom(tokens) {
    const limit = app.engine.config.n_positions;
    if (tokens <= limit) return;
    throw new LabError(
      "context",
      `Son ${tokens} tokens y al modelo le caben ${limit}. No corto nada por ti: acorta el texto y sigo.`,
    );
  }

  // ---------------------------------------------------------------- lo que se puede hacer
  app.setPrompt = (text) => enqueue((signal) => read(text, [], signal), { urgent: true });

  /** Un texto entero: prompt y lo escrito. Es lo que hacen un enlace y una rama. */
  app.restore = ({ prompt, written = [] }) => enqueue((signal) => read(prompt, written, signal), { urgent: true });

  /** Va a un nodo de este texto; si es uno del prompt, el prompt se queda en ese. */
  app.setNode = (node) => {
    const inside = isPrefix(app.engine.ids(state.promptNode), app.engine.ids(node));
    if (!inside) return app.setPrompt(app.engine.tokenizer.decode(app.engine.ids(node), { skipSpecial: false }));
    return enqueue(async () => moveTo(node), { urgent: true });
  };

  async function write(token, signal) {
    requireRoom(state.node.depth + 1);
    moveTo(await app.engine.extend(state.node, [token], { signal }));
    app.fail(null);
    return token;
  }

  app.step = () => enqueue((signal) => write(choose(app, state.node), signal));

  app.force = (token) => {
    const from = state.node;
    return enqueue(
      async (signal) => {
        if (state.node !== from) moveTo(from); // lo elegido se vio ahí
        return write(token, signal);
      },
      { urgent: true },
    );
  };

  app.run = () =>
    enqueue(async (signal) => {
      requireRoom(state.node.depth + 1);
      state.running = true;
      app.emit("busy", true);
      try {
        const limit = Math.min(state.settings.maxNewTokens, app.room());
        for (let count = 0; count < limit && !signal.aborted; count += 1) {
          const token = await write(choose(app, state.node), signal);
          if (token === app.engine.config.eos) break;
          await nextFrame();
        }
      } finally {
        state.running = false;
        app.emit("busy", state.busy);
      }
    });

  app.stop = () => {
    interrupt();
    return tail;
  };

  app.back = () =>
    enqueue(async () => {
      if (state.node !== state.promptNode) moveTo(state.node.parent);
      app.fail(null);
    }, { urgent: state.running });

  app.setSettings = (partial) => {
    try {
      validate(partial, (message) => new LabError("settings", message));
    } catch (error) {
      app.fail(error);
      return;
    }
    state.settings = { ...state.settings, ...partial };
    app.emit("settings", state.settings);
  };

  return app;
}

/** Deja que se vea lo escrito antes de seguir. En una pestaña escondida no hay fotogramas: ahí basta un rato. */
function nextFrame() {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 100);
    requestAnimationFrame(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
