// El motor del laboratorio: todo lo que una página puede usar.

export { beamSearch } from "./beams.js";
export * from "./decoding.js";
export { LabError } from "./errors.js";
export { Engine, load } from "./model.js";
export { Tokenizer } from "./tokenizer.js";
export { Node } from "./tree.js";
