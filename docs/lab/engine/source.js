// De dónde salen los archivos del modelo: se descargan una vez, se comprueban y se guardan para la próxima visita.

import { LabError, megabytes, require } from "./errors.js";

const NEEDED = ["config.json", "tokenizer.json", "model.safetensors"];
const MANIFEST = "sha256.json"; // { hash, files: { nombre: { sha256, bytes } } }
const PREFIX = "laboratorio-"; // las cachés de la página: una por versión del modelo
const RELOAD = "Recarga la página; si sigue igual, avisa a quien la publica.";

async function request(url, options) {
  let response;
  try {
    response = await fetch(url, options);
  } catch (cause) {
    options?.signal?.throwIfAborted();
    throw new LabError("network", `No puedo descargar ${url}. ¿Hay red? Compruébala y recarga la página.`, { cause });
  }
  require(response.status !== 404, "missing", `Falta un archivo del laboratorio: ${url} no está (404). ${RELOAD}`);
  require(response.ok, "network", `El servidor responde ${response.status} a ${url}. Espera un poco y recarga la página.`);
  return response;
}

/** El cuerpo de una respuesta, contado según llega. */
async function read(url, response, size, onChunk, signal) {
  const bytes = new Uint8Array(size);
  const reader = response.body.getReader();
  let at = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (at + value.length <= size) bytes.set(value, at);
      at += value.length;
      onChunk(value.length);
    }
  } catch (cause) {
    signal?.throwIfAborted();
    const got = `${megabytes(at)} de ${megabytes(size)}`;
    throw new LabError("network", `La descarga de ${url} se ha cortado con ${got}. Recarga la página.`, { cause });
  } finally {
    reader.cancel().catch(() => {});
  }
  require(at === size, "altered", `${url} tiene ${at} bytes y debería tener ${size}: está cortado o cambiado. ${RELOAD}`);
  return bytes;
}

const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Sin HTTPS el navegador no ofrece con qué calcular el resumen: queda comprobado el tamaño. */
async function verify(bytes, sha256, url) {
  if (!globalThis.crypto?.subtle) return;
  const found = hex(await crypto.subtle.digest("SHA-256", bytes));
  const [want, got] = [sha256, found].map((text) => `${text.slice(0, 8)}…`);
  require(found === sha256, "altered", `${url} no es el original: su SHA-256 es ${got} y debería ser ${want}. ${RELOAD}`);
}

/** La caché de esta versión del modelo, y ninguna otra; `null` si el navegador no la deja usar. */
async function openCache(hash) {
  try {
    const names = await caches.keys();
    await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== PREFIX + hash).map((name) => caches.delete(name)));
    return await caches.open(PREFIX + hash);
  } catch {
    return null; // en file://, sin HTTPS o en una ventana privada
  }
}

async function manifestOf(base, signal) {
  const url = base + MANIFEST;
  const text = await (await request(url, { cache: "no-cache", signal })).text();
  try {
    const { hash, files } = JSON.parse(text);
    if (typeof hash === "string" && NEEDED.every((name) => files[name].bytes > 0)) return { hash, files };
  } catch {
    // lo de abajo lo cuenta
  }
  throw new LabError("altered", `${url} no es la lista de archivos del modelo: empieza por «${text.slice(0, 30)}». ${RELOAD}`);
}

/**
 * Los archivos del modelo, comprobados: `{ hash, bytes, cached, files: Map(nombre → Uint8Array) }`.
 * `cached` dice que todo estaba guardado de otra visita y no se ha descargado nada.
 */
export async function fetchModel({ base, onProgress = () => {}, signal }) {
  const manifest = await manifestOf(base, signal);
  const cache = await openCache(manifest.hash);
  const total = NEEDED.reduce((sum, name) => sum + manifest.files[name].bytes, 0);
  let received = 0;
  const count = (length) => onProgress((received += length), total);
  const files = new Map();
  let cached = true;
  for (const name of NEEDED) {
    const { sha256, bytes: size } = manifest.files[name];
    const url = base + name;
    const stored = await fromCache(cache, url, sha256, size);
    if (stored) count(size);
    else cached = false;
    files.set(name, stored ?? (await download(cache, url, sha256, size, count, signal)));
  }
  return { hash: manifest.hash, bytes: total, cached, files };
}

async function fromCache(cache, url, sha256, size) {
  try {
    const bytes = new Uint8Array(await (await cache.match(url)).arrayBuffer());
    require(bytes.length === size, "altered", url);
    await verify(bytes, sha256, url);
    return bytes;
  } catch {
    return null; // no está, o se ha estropeado: se descarga
  }
}

async function download(cache, url, sha256, size, count, signal) {
  const bytes = await read(url, await request(url, { cache: "no-cache", signal }), size, count, signal);
  await verify(bytes, sha256, url);
  await cache?.put(url, new Response(bytes)).catch(() => {}); // sin sitio en el disco, se usa sin guardar
  return bytes;
}
