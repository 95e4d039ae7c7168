// Lo que se ha escrito y no se quiere perder: cada texto, por sus ids. Los nodos se pueden liberar; los ids, no hace falta.

export const isPrefix = (short, long) => short.length <= long.length && short.every((id, place) => id === long[place]);

export function createBranches() {
  let items = []; // {prompt, length, ids}: de la más antigua a la más nueva

  return {
    get items() {
      return items;
    },
    /** Apunta un texto: sustituye a los que eran su principio y no se apunta si es el principio de otro. */
    remember(one) {
      if (!one || one.ids.length === one.length) return; // sin nada escrito no hay nada que perder
      if (items.some((other) => isPrefix(one.ids, other.ids))) return;
      items = [...items.filter((other) => !isPrefix(other.ids, one.ids)), one];
    },
    forget(one) {
      items = items.filter((other) => other !== one);
    },
  };
}
