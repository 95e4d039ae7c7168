// Los paneles que hay: nombre de su sección en index.html («panel-NOMBRE») → su módulo, con `mount(container, app)`.
// Se importan por su nombre y no probando suerte: pedir un archivo que no está es un error en la consola.

export const panels = {};
