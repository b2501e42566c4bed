// How many tokens texts cost a model, by two vocabularies that the package carries: tokens.mjs reads a JSON list of texts from its
// standard input and prints a JSON list of numbers, the greater of both for each.

import { readFileSync } from "node:fs";

import { countTokens as cl100k } from "gpt-tokenizer/encoding/cl100k_base";
import { countTokens as o200k } from "gpt-tokenizer/encoding/o200k_base";

// What a text says of special tokens is text.
const plain = { allowedSpecial: new Set(), disallowedSpecial: new Set() };
const texts = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(texts.map((text) => Math.max(cl100k(text, plain), o200k(text, plain)))));
