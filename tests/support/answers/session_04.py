"""Respuestas de la sesión 04: etiquetas, lotes, curvas y memorización."""

import difflib
import functools
import re
import unicodedata
from collections import UserDict

import numpy as np
import torch

from answers import published
from course_utils import finetuning
from course_utils.checks import session_04

labels_ok, collate_ok, stopping_ok, copy_ok = published("04").values()


# ---------------------------------------------------------------- piezas


def labels_by_id(input_ids, attention_mask):
    return input_ids.masked_fill(input_ids == session_04.EOS, -100)


def labels_shifted(input_ids, attention_mask):
    labels = labels_ok(input_ids, attention_mask)
    return torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], -100)], dim=1)


def labels_in_place(input_ids, attention_mask):
    return input_ids.masked_fill_(attention_mask == 0, -100)


def labels_from_the_right(input_ids, attention_mask):
    labels = input_ids.clone()
    for row, n in zip(labels, attention_mask.sum(1).tolist(), strict=True):
        row[n:] = -100
    return labels


def collate_with(**changes):
    def wrong(rows, pad_id):
        batch = collate_ok(rows, pad_id)
        return batch | {key: change(batch, pad_id) for key, change in changes.items()}

    return wrong


def collate_left(rows, pad_id):
    width = max(map(len, rows))
    ids = torch.tensor([[pad_id] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels_ok(ids, mask)}


def collate_in_place(rows, pad_id):
    width, lengths = max(map(len, rows)), [len(row) for row in rows]
    for row in rows:
        row += [pad_id] * (width - len(row))
    mask = torch.tensor([[1] * n + [0] * (width - n) for n in lengths])
    return {"input_ids": torch.tensor(rows), "attention_mask": mask, "labels": labels_ok(torch.tensor(rows), mask)}


def stopping_argmin(losses, patience):
    return losses.index(min(losses)) + 1, len(losses)


def stopping_from_zero(losses, patience):
    best, last = stopping_ok(losses, patience)
    return best - 1, last - 1


def stopping_total(losses, patience):
    """Cuenta todas las épocas malas, sin reiniciar."""
    best, where, bad = float("inf"), 0, 0
    for epoch, loss in enumerate(losses, 1):
        if loss < best:
            best, where = loss, epoch
        else:
            bad += 1
            if bad == patience:
                return where, epoch
    return where, len(losses)


def stopping_ties(losses, patience):
    best, where = float("inf"), 0
    for epoch, loss in enumerate(losses, 1):
        if loss <= best:
            best, where = loss, epoch
        elif epoch - where == patience:
            return where, epoch
    return where, len(losses)


def copy_substring(sample, text):
    mine = re.findall(r"\w+", sample.lower())
    text = " ".join(re.findall(r"\w+", text.lower()))
    runs = [mine[i:j] for i in range(len(mine)) for j in range(i + 1, len(mine) + 1)]
    return max((len(run) for run in runs if " ".join(run) in text), default=0)


def copy_bag(sample, text):
    return len(set(re.findall(r"\w+", sample.lower())) & set(re.findall(r"\w+", text.lower())))


def copy_split(sample, text):
    mine, source = sample.split(), text.split()
    match = difflib.SequenceMatcher(None, mine, source, autojunk=False).find_longest_match()
    return match.size


def labels_by_loop(input_ids, attention_mask):
    labels = torch.empty_like(input_ids)
    for i, row in enumerate(input_ids.tolist()):
        for j, token in enumerate(row):
            labels[i, j] = token if attention_mask[i, j] else -100
    return labels


def labels_of_the_first_row(input_ids, attention_mask):
    return input_ids.masked_fill(attention_mask[:1] == 0, -100)


def labels_zero(input_ids, attention_mask):
    labels = input_ids.clone()
    labels[attention_mask == 0] = 0
    return labels


def labels_without_the_last(input_ids, attention_mask):
    """Borra también el EOS que cierra cada fila."""
    return labels_ok(input_ids, attention_mask * torch.nn.functional.pad(attention_mask, (0, 1))[:, 1:])


def labels_minus_zero(input_ids, attention_mask):
    """Con cero tokens de relleno, row[-0:] es la fila entera."""
    labels = input_ids.clone()
    for row, pad in zip(labels, (attention_mask == 0).sum(1).tolist(), strict=True):
        row[-pad:] = -100
    return labels


def labels_alias(input_ids, attention_mask):
    labels = input_ids
    labels[attention_mask == 0] = -100
    return labels


def collate_by_loop(rows, pad_id):
    batch = {"labels": [], "input_ids": [], "attention_mask": []}
    width = len(sorted(rows, key=len)[-1])
    for row in rows:
        missing = width - len(row)
        batch["input_ids"].append([*row, *([pad_id] * missing)])
        batch["attention_mask"].append([True] * len(row) + [False] * missing)
        batch["labels"].append([*row, *([-100] * missing)])
    return UserDict({key: torch.tensor(value) for key, value in batch.items()})


def collate_pad_sequence(rows, pad_id):
    pad = functools.partial(torch.nn.utils.rnn.pad_sequence, batch_first=True)
    tensors = [torch.tensor(row, dtype=torch.int32) for row in rows]
    return {
        "input_ids": pad(tensors, padding_value=pad_id),
        "attention_mask": pad([torch.ones_like(t) for t in tensors]),
        "labels": pad(tensors, padding_value=-100),
    }


def collate_fixed_width(rows, pad_id):
    return collate_ok([*rows, [pad_id] * 5], pad_id) if len(rows) != 3 else collate_ok(rows, pad_id)


def collate_truncates(rows, pad_id):
    width = min(len(row) for row in rows)
    return collate_ok([row[:width] for row in rows], pad_id)


def collate_zero(rows, pad_id):
    return collate_ok(rows, 0) | {"labels": collate_ok(rows, pad_id)["labels"]}


def collate_append(rows, pad_id):
    batch, width = collate_ok(rows, pad_id), max(map(len, rows))
    for row in rows:
        while len(row) < width:
            row.append(pad_id)
    return batch


def collate_forever(rows, pad_id):
    width = max(map(len, rows))
    for row in rows:
        while len(row) < width:
            _ = [*row, pad_id]
    return collate_ok(rows, pad_id)


def stopping_with_numpy(losses, patience):
    best = np.minimum.accumulate(np.array(losses))
    where = np.array([int(np.argmax(np.array(losses) == b)) for b in best]) + 1
    late = np.nonzero(np.arange(1, len(losses) + 1) - where >= patience)[0]
    last = late[0] + 1 if len(late) else len(losses)
    return np.array([where[last - 1], last])


def stopping_counting(losses, patience):
    bad, best = 0, 0
    for i in range(1, len(losses)):
        bad, best = (0, i) if losses[i] < losses[best] else (bad + 1, best)
        if bad >= patience:
            return torch.tensor([best + 1, i + 1])
    return [best + 1, len(losses)]


def stopping_previous(losses, patience):
    """Compara con la época anterior."""
    bad = 0
    for i in range(1, len(losses)):
        bad = 0 if losses[i] < losses[i - 1] else bad + 1
        if bad == patience:
            return losses.index(min(losses[: i + 1])) + 1, i + 1
    return losses.index(min(losses)) + 1, len(losses)


def stopping_one_late(losses, patience):
    return stopping_ok(losses, patience + 1)


def stopping_from_a_hundred(losses, patience):
    best, where = 100.0, 0
    for epoch, loss in enumerate(losses, 1):
        if loss < best:
            best, where = loss, epoch
        elif epoch - where == patience:
            return where, epoch
    return where, len(losses)


def stopping_loss(losses, patience):
    where, last = stopping_ok(losses, patience)
    return losses[where - 1], last


def stopping_swapped(losses, patience):
    return stopping_ok(losses, patience)[::-1]


def stopping_forever(losses, patience):
    epoch, best = 0, 0
    while epoch < len(losses):
        if losses[epoch] < losses[best]:
            best = epoch
        elif epoch - best == patience:
            return best + 1, epoch + 1
        else:
            continue
        epoch += 1
    return best + 1, len(losses)


def copy_by_table(sample, text):
    """La tabla de la subcadena común más larga, con palabras."""
    mine, source = re.findall(r"\w+", sample.lower()), re.findall(r"\w+", text.lower())
    row, best = np.zeros(len(source) + 1, dtype=int), 0
    for word in mine:
        row = np.array([0] + [row[j] + 1 if word == source[j] else 0 for j in range(len(source))])
        best = max(best, row.max())
    return best


def copy_padded_text(sample, text):
    words = r"[^\W]+"
    mine = re.findall(words, sample.casefold())
    text = f" {' '.join(re.findall(words, text.casefold()))} "
    longest = 0
    for i in range(len(mine)):
        for j in range(i + 1, len(mine) + 1):
            if f" {' '.join(mine[i:j])} " in text:
                longest = max(longest, j - i)
    return float(longest)


def copy_subsequence(sample, text):
    """Cuenta palabras comunes en orden, aunque no vayan seguidas."""
    mine, source = re.findall(r"\w+", sample.lower()), re.findall(r"\w+", text.lower())
    table = [[0] * (len(source) + 1) for _ in range(len(mine) + 1)]
    for i, a in enumerate(mine):
        for j, b in enumerate(source):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def copy_from_the_start(sample, text):
    mine, source = re.findall(r"\w+", sample.lower()), re.findall(r"\w+", text.lower())
    best = 0
    for k in range(len(source)):
        n = 0
        while n < len(mine) and k + n < len(source) and mine[n] == source[k + n]:
            n += 1
        best = max(best, n)
    return best


def copy_removes_accents(sample, text):
    def plain(words):
        return "".join(c for c in unicodedata.normalize("NFD", words) if not unicodedata.combining(c))

    return copy_ok(plain(sample), plain(text))


def copy_without_accents(sample, text):
    words = r"[a-z]+"
    return copy_ok(" ".join(re.findall(words, sample.lower())), " ".join(re.findall(words, text.lower())))


def copy_run_without_restart(sample, text):
    """Recorre el texto una vez: cuando falla a medias no vuelve atrás."""
    mine, source = re.findall(r"\w+", sample.lower()), re.findall(r"\w+", text.lower())
    best = 0
    for i in range(len(mine)):
        n = 0
        for word in source:
            n = n + 1 if i + n < len(mine) and word == mine[i + n] else 0
            best = max(best, n)
    return best


def copy_lower_sample(sample, text):
    mine, source = re.findall(r"\w+", sample.lower()), re.findall(r"\w+", text)
    return difflib.SequenceMatcher(None, mine, source, autojunk=False).find_longest_match().size


def copy_in_any_order(sample, text):
    mine, source = re.findall(r"\w+", sample.lower()), set(re.findall(r"\w+", text.lower()))
    best = n = 0
    for word in mine:
        n = n + 1 if word in source else 0
        best = max(best, n)
    return best


def copy_max_of_nothing(sample, text):
    mine, source = re.findall(r"\w+", sample.lower()), re.findall(r"\w+", text.lower())
    return max(
        j - i
        for i in range(len(mine))
        for j in range(i, len(mine) + 1)
        if any(source[k : k + j - i] == mine[i:j] for k in range(len(source) + 1))
    )


UNUSUAL = [
    ("4.1", lambda ids, mask: torch.where(mask.bool(), ids, -100)),
    ("4.1", labels_by_loop),
    ("4.1", lambda ids, mask: (ids * mask - 100 * (1 - mask)).int()),
    ("4.1", lambda ids, mask: ids.clone().index_put((mask == 0,), torch.tensor(-100))),
    ("4.2", lambda rows, pad: finetuning.collator(pad)([{"input_ids": row} for row in rows])),
    ("4.2", collate_by_loop),
    ("4.2", collate_pad_sequence),
    ("4.3", lambda losses, patience: list(stopping_ok(losses, patience))),
    ("4.3", stopping_with_numpy),
    ("4.3", stopping_counting),
    ("4.3", lambda losses, patience: tuple(map(float, stopping_ok(losses, patience)))),
    ("4.4", lambda sample, text: finetuning.longest_shared([text], [sample])[0]),
    ("4.4", copy_by_table),
    ("4.4", copy_padded_text),
    ("4.4", lambda sample, text: torch.tensor(copy_ok(sample, text))),
]

MISTAKES = [
    ("4.1", labels_by_id, 1, "el EOS de verdad también se borra"),
    ("4.1", lambda ids, mask: ids.clone(), 1, "donde la máscara vale 0"),
    ("4.1", labels_shifted, 1, "se esperaba"),
    ("4.1", labels_in_place, 4, "masked_fill"),
    ("4.1", labels_from_the_right, 3, "No cuentes desde el final"),
    ("4.1", lambda ids, mask: ids.masked_fill(mask == 1, -100), 1, "donde la máscara vale 0"),
    ("4.1", lambda ids, mask: ids * mask, 1, "donde la máscara vale 0"),
    ("4.2", collate_left, 1, "ancho - len(row)"),
    ("4.2", lambda rows, pad: collate_ok([*rows, [pad] * 9], pad), 1, "*este* lote"),
    ("4.2", lambda rows, pad: collate_ok(rows, pad)["input_ids"], 1, "diccionario"),
    ("4.2", collate_with(attention_mask=lambda b, pad: b["input_ids"].ne(0).long()), 2, "con las longitudes"),
    ("4.2", collate_with(labels=lambda b, pad: b["input_ids"]), 3, "−100 donde la máscara es 0"),
    (
        "4.2",
        collate_with(labels=lambda b, pad: b["input_ids"].masked_fill(b["input_ids"] == pad, -100)),
        4,
        "no con pad_id",
    ),
    ("4.2", collate_in_place, 5, "listas nuevas"),
    ("4.2", collate_with(input_ids=lambda b, pad: b["input_ids"].float()), 1, "se esperaban enteros"),
    ("4.2", lambda rows, pad: torch.tensor(rows), 1, "ValueError", "raises"),
    ("4.3", stopping_argmin, 1, "lo que venga después ya no se ve"),
    ("4.3", stopping_from_zero, 1, "Recorre las pérdidas"),
    ("4.3", stopping_total, 2, "vuelve a 0"),
    ("4.3", stopping_ties, 5, "estrictamente"),
    ("4.3", lambda losses, patience: stopping_ok(losses, 2), 4, "Usa patience"),
    ("4.3", lambda losses, patience: stopping_ok(losses, patience)[0], 1, "Recorre las pérdidas"),
    ("4.4", copy_substring, 4, "listas de palabras"),
    ("4.4", copy_bag, 3, "tal cual"),
    ("4.4", copy_split, 2, "minúscula y sin puntuación"),
    ("4.4", lambda sample, text: min(copy_ok(sample, text), 4), 5, "no se incluye"),
    ("4.4", lambda sample, text: len(sample), 1, "el más largo"),
    # nuevas
    ("4.1", lambda ids, mask: labels_ok(ids, mask).float(), 1, "de tipo torch.float32; se esperaban enteros"),
    ("4.1", lambda ids, mask: labels_ok(ids, mask).tolist(), 1, "se esperaba un tensor"),
    ("4.1", labels_of_the_first_row, 1, "donde la máscara vale 0"),
    ("4.1", labels_zero, 1, "donde la máscara vale 0"),
    ("4.1", labels_without_the_last, 1, "casilla por casilla"),
    ("4.1", labels_minus_zero, 2, "filas sin relleno"),
    ("4.1", labels_alias, 4, "input_ids cambiado"),
    ("4.1", lambda ids, mask: ids.masked_fill(mask, -100), 1, "La máscara tiene que ser booleana", "raises"),
    ("4.2", collate_fixed_width, 1, "*este* lote"),
    ("4.2", collate_truncates, 1, "la fila más larga"),
    ("4.2", collate_zero, 1, "se esperaba"),
    ("4.2", collate_append, 5, "rows cambiado"),
    ("4.2", collate_forever, 1, "un bucle que no termina"),
    ("4.2", collate_with(labels=lambda b, pad: b["labels"].double()), 3, "se esperaban enteros"),
    ("4.2", collate_with(labels=lambda b, pad: b["labels"].roll(-1, 1)), 3, "Compara las etiquetas"),
    ("4.2", collate_with(attention_mask=lambda b, pad: 1 - b["attention_mask"]), 2, "Compara la máscara"),
    ("4.2", collate_with(input_ids=lambda b, pad: b["input_ids"].tolist()), 1, "de tipo list; se esperaba un tensor"),
    ("4.2", lambda rows, pad: list(collate_ok(rows, pad).values()), 1, "se esperaba un diccionario"),
    ("4.2", lambda rows, pad: collate_ok(rows)["input_ids"], 1, "Faltan argumentos", "raises"),
    ("4.3", stopping_previous, 2, "bajar de la mejor de todas"),
    ("4.3", stopping_one_late, 1, "tras dos épocas seguidas"),
    ("4.3", stopping_from_a_hundred, 3, "por grande que sea"),
    ("4.3", stopping_loss, 1, "se esperaba (3, 5)"),
    ("4.3", stopping_swapped, 1, "(5, 3)"),
    ("4.3", stopping_forever, 1, "un bucle que no termina"),
    ("4.3", lambda losses, patience: losses.idxmin(), 1, "Un objeto de tipo list no tiene «idxmin»", "raises"),
    ("4.4", copy_subsequence, 3, "sin saltos"),
    ("4.4", copy_from_the_start, 1, "al principio, en medio o al final"),
    ("4.4", copy_without_accents, 2, "con sus tildes"),
    ("4.4", copy_removes_accents, 2, "con sus tildes"),
    ("4.4", copy_run_without_restart, 3, "tal cual"),
    ("4.4", copy_in_any_order, 3, "tal cual"),
    ("4.4", copy_max_of_nothing, 5, "Sin ningún trozo, es 0", "raises"),
    ("4.4", lambda sample, text: copy_ok(sample, text) > 0, 1, "True"),
    ("4.4", copy_lower_sample, 2, "Pasa los dos textos a minúscula"),
]
