// A client that shows MCP Apps, as its specification of 2026-01-26 wants it: a page, a sandbox of another origin in it, and the
// view in that; in a real browser that reaches nothing else.

import { chromium } from "playwright-core";

const CLIENT = "https://client.test/";
const SANDBOX = "https://sandbox.test/";
/** What a view may load that declares nothing. */
const RESTRICTIVE = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
  "img-src 'self' data:; media-src 'self' data:; connect-src 'none'";

const CLIENT_PAGE = `<!DOCTYPE html><title>client</title>
<style>:root { color-scheme: light dark } body { margin: 0 } iframe { display: block; border: 0; width: 100%; height: 0 }</style>
<iframe id="sandbox" title="view" sandbox="allow-scripts allow-same-origin" src="${SANDBOX}"></iframe>
<script>
const frame = document.getElementById("sandbox");
const send = (message) => frame.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*");
window.messages = [];
window.addEventListener("message", async ({ source, data }) => {
  if (source !== frame.contentWindow) return;
  window.messages.push(data);
  const answer = (result) => send({ id: data.id, result });
  switch (data.method) {
    case "ui/notifications/sandbox-proxy-ready":
      return send({ method: "ui/notifications/sandbox-resource-ready", params: { html: await window.html() } });
    case "ui/initialize":
      return answer(await window.hello());
    case "ui/notifications/size-changed":
      frame.style.height = data.params.height + "px";
      return;
    case "tools/call":
      try {
        answer(await window.callServer(data.params));
      } catch (error) {
        send({ id: data.id, error: { code: -32603, message: String(error.message) } });
      }
      return;
    case "ui/request-display-mode":
    case "ui/update-model-context":
      return answer(await window.asked(data.method, data.params));
  }
});
</script>`;

const SANDBOX_PAGE = `<!DOCTYPE html><title>sandbox</title>
<style>body { margin: 0 } iframe { display: block; border: 0; width: 100%; height: 100vh }</style>
<script>
let view;
window.addEventListener("message", ({ source, data }) => {
  if (source === window.parent && data.method === "ui/notifications/sandbox-resource-ready") {
    view = document.createElement("iframe");
    view.id = "view";
    view.setAttribute("sandbox", "allow-scripts allow-same-origin");
    view.srcdoc = data.params.html;
    document.body.append(view);
  } else if (source === window.parent) view.contentWindow.postMessage(data, "*");
  else if (source === view?.contentWindow) window.parent.postMessage(data, "*");
});
window.parent.postMessage({ jsonrpc: "2.0", method: "ui/notifications/sandbox-proxy-ready", params: {} }, "*");
</script><body>`;

/** Starts a browser that knows no network. */
export function browser() {
  return chromium.launch({
    executablePath: process.env.LICTOR_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
}

/**
 * Shows a view. `server` answers its calls of tools; `can` is what the client says it can do; without `policy` nothing but the view
 * itself says what it may load.
 */
export async function show(inside, { html, server, can = { serverTools: {} }, context = {}, policy = true, size = { width: 760, height: 900 } }) {
  const shown = await inside.newContext({ viewport: size });
  const page = await shown.newPage();
  const requests = [], calls = [], asked = [], faults = [];
  page.on("dialog", (dialog) => { faults.push(`dialog: ${dialog.message()}`); return dialog.dismiss(); });
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => { if (message.type() === "error") faults.push(message.text()); });
  await shown.route("**/*", (route) => {
    const url = route.request().url();
    requests.push(url);
    if (url === CLIENT) return route.fulfill({ contentType: "text/html", body: CLIENT_PAGE });
    const headers = policy ? { "content-security-policy": RESTRICTIVE } : {};
    if (url === SANDBOX) return route.fulfill({ contentType: "text/html", body: SANDBOX_PAGE, headers });
    return route.abort();
  });
  await page.exposeFunction("html", () => html);
  await page.exposeFunction("hello", () => ({
    protocolVersion: "2026-01-26",
    hostInfo: { name: "lictor-tests", version: "1" },
    hostCapabilities: can,
    hostContext: { theme: "light", locale: "en-GB", timeZone: "UTC", ...context },
  }));
  await page.exposeFunction("callServer", (params) => { calls.push(params); return server(params); });
  await page.exposeFunction("asked", (method, params) => {
    asked.push({ method, params });
    return method === "ui/request-display-mode" ? { mode: params.mode } : {};
  });
  await page.clock.install();
  await page.goto(CLIENT);
  await page.waitForFunction(() => window.messages.some(({ method }) => method === "ui/notifications/initialized"));
  const view = page.frameLocator("#sandbox").frameLocator("#view");
  const tell = (method, params) => page.evaluate((message) => send(message), { method: `ui/notifications/${method}`, params });
  return {
    page, view, requests, calls, asked, faults, tell,
    /** The window of the view itself. */
    inner: () => page.frames().find((frame) => frame.parentFrame()?.parentFrame()),
    close: () => shown.close(),
    strangers: () => requests.filter((url) => url !== CLIENT && url !== SANDBOX),
  };
}
