// Lets the scripts beside it import what scripts/node installed below target/: node --import packages.mjs SCRIPT.

import { registerHooks } from "node:module";

const here = new URL("./", import.meta.url).href;
const installed = new URL("../../target/node/", import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const bare = !/^(\.|\/|node:|file:|data:)/.test(specifier);
    const ours = context.parentURL?.startsWith(here) ?? false;
    return next(specifier, bare && ours ? { ...context, parentURL: installed } : context);
  },
});
