// Los textos de los paneles: un archivo de la carpeta del laboratorio o, en el laboratorio de un solo archivo, lo que
// lleva dentro.

/** El contenido de un JSON del laboratorio, dado por su ruta desde su carpeta. */
export async function loadJson(path) {
  const inside = globalThis.EMBEDDED_FILES?.[path];
  if (inside) return inside;
  const response = await fetch(path);
  if (!response.ok) throw new Error(`Falta ${path} en el laboratorio (${response.status}). Recarga la página.`);
  return response.json();
}
