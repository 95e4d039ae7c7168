// Los textos de los paneles, que van en archivos aparte.

/** El contenido de un JSON del laboratorio, dado por su ruta desde su carpeta. */
export async function loadJson(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`Falta ${path} en el laboratorio (${response.status}). Recarga la página.`);
  return response.json();
}
