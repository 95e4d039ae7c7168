// Ceder el paso: la página tiene que seguir respondiendo mientras el modelo calcula.

const LONGEST = 12; // ms seguidos de trabajo, como mucho: menos que un fotograma

// Con un canal de mensajes y no con setTimeout, que en una pestaña de fondo espera un segundo, o un minuto.
function nextTask() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** Da una función que, llamada a menudo, cede el paso cuando toca y lanza si se ha cancelado con `signal`. */
export function breather(signal) {
  let last = performance.now();
  return async () => {
    if (performance.now() - last > LONGEST) {
      await nextTask();
      last = performance.now();
    }
    signal?.throwIfAborted();
  };
}
