// El buscador de Sphinx, con dos arreglos: el trozo que enseña de cada página empieza donde sale la palabra aunque no
// lleve tilde, y desde un archivo (file:), donde no se pueden leer otras páginas, no lo intenta.

/* global DOCUMENTATION_OPTIONS, Search */

function plain(text) {
  const bare = { á: "a", é: "e", í: "i", ó: "o", ú: "u", ü: "u" };
  return text.toLowerCase().replace(/[áéíóúü]/g, (letter) => bare[letter]);
}

if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

Search.makeSearchSummary = (page, keywords, anchor) => {
  const text = Search.htmlToText(page, anchor).replace(/\s+/g, " ").trim();
  if (text === "") return null;
  const places = [...keywords].map((word) => plain(text).indexOf(plain(word))).filter((place) => place >= 0);
  const start = Math.max(0, Math.min(...places, text.length) - 80) * (places.length > 0);
  const summary = document.createElement("p");
  summary.className = "context";
  summary.textContent = `${start > 0 ? "… " : ""}${text.slice(start, start + 240).trim()} …`;
  return summary;
};
