// The client that shows this view: JSON-RPC 2.0 by messages between windows.

const waiting = new Map();
let lastId = 0;

function post(message) {
  // What is sent names jobs and hosts that the client told of; its own origin cannot be known in a sandbox.
  window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
}

function ask(method, params) {
  const id = (lastId += 1);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      waiting.delete(id);
      reject(new Error("the client did not answer"));
    }, ANSWER_MS);
    waiting.set(id, { resolve, reject, timer });
    post({ id, method, params });
  });
}

async function call(name, given) {
  const result = await ask("tools/call", { name, arguments: given });
  const body = content(result);
  if (result?.isError || !body) {
    const error = new Error(body?.message ?? "the client could not call " + name);
    error.step = body?.next_step;
    throw error;
  }
  return body;
}

function content(result) {
  if (result?.structuredContent) return result.structuredContent;
  try {
    const body = JSON.parse(result.content.find((block) => block.type === "text").text);
    return typeof body === "object" ? body : null;
  } catch {
    return null;
  }
}

window.addEventListener("message", (event) => {
  if (event.source !== window.parent) return;
  const message = event.data;
  if (message?.jsonrpc !== "2.0") return;
  if (message.method === undefined) {
    const asked = waiting.get(message.id);
    if (!asked) return;
    waiting.delete(message.id);
    clearTimeout(asked.timer);
    if (message.error) asked.reject(new Error(message.error.message ?? "the client refused"));
    else asked.resolve(message.result);
    return;
  }
  const answered = message.id !== undefined;
  switch (message.method) {
    case "ping":
      if (answered) post({ id: message.id, result: {} });
      break;
    case "ui/resource-teardown":
      state.gone = true;
      clearTimeout(state.timer);
      if (answered) post({ id: message.id, result: {} });
      break;
    case "ui/notifications/host-context-changed":
      adopt(message.params);
      draw();
      break;
    case "ui/notifications/tool-input":
      state.input = message.params?.arguments ?? {};
      draw();
      break;
    case "ui/notifications/tool-result":
      answer(message.params);
      break;
    case "ui/notifications/tool-cancelled":
      if (!state.job && !state.answer) state.answer = { message: "The call was cancelled." };
      draw();
      break;
    default:
      if (answered) post({ id: message.id, error: { code: -32601, message: "this view does not do that" } });
  }
});

function adopt(context) {
  if (!context || typeof context !== "object") return;
  Object.assign(state.context, context);
  const root = document.documentElement;
  const { theme, styles, displayMode, containerDimensions } = state.context;
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  for (const [name, value] of Object.entries(styles?.variables ?? {})) {
    if (/^--[a-z0-9-]+$/.test(name) && typeof value === "string") root.style.setProperty(name, value);
  }
  document.body.classList.toggle("full", displayMode === "fullscreen" || Number.isFinite(containerDimensions?.height));
}
