// Whoever uses it, by hand or by keyboard; and the beginning.

function onTab(id, act) {
  by(id).addEventListener("click", act);
  by(id).addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const other = [...by(id).parentNode.children].find((tab) => tab.id !== id && !tab.hidden);
    other?.click();
    other?.focus();
  });
}

function show(tab) {
  state.tab = tab;
  draw();
}

function stream(name) {
  state.stream = name;
  if (state.output && state.output.stream !== name) fetchOutput();
}

onTab("tab-hosts", () => show("hosts"));
onTab("tab-groups", () => show("groups"));
onTab("tab-stdout", () => stream("stdout"));
onTab("tab-stderr", () => stream("stderr"));
by("find").addEventListener("input", () => {
  state.find = by("find").value.trim();
  draw();
});
by("more").addEventListener("click", () => more());
by("again").addEventListener("click", () => {
  Object.assign(state, { looks: 0, failures: 0, stalled: false, pause: FIRST_PAUSE_MS });
  look();
});
by("stop").addEventListener("click", () => {
  by("sure").hidden = false;
  by("stop-no").focus();
});
by("stop-no").addEventListener("click", () => {
  by("sure").hidden = true;
  by("stop").focus();
});
by("stop-yes").addEventListener("click", async () => {
  by("sure").hidden = true;
  by("stop").disabled = true;
  try {
    await call("ssh_cancel", { job_id: state.job.job_id });
  } catch (error) {
    state.trouble = error;
  }
  by("stop").disabled = false;
  state.pause = FIRST_PAUSE_MS;
  draw();
  look();
});
by("full").addEventListener("click", async () => {
  const mode = state.context.displayMode === "fullscreen" ? "inline" : "fullscreen";
  try {
    adopt({ displayMode: (await ask("ui/request-display-mode", { mode })).mode });
  } catch {
    return;
  }
  draw();
});

let toldSize = "";
new ResizeObserver(() => {
  if (document.body.classList.contains("full")) return;
  const now = { width: window.innerWidth, height: Math.ceil(document.body.getBoundingClientRect().height) };
  if (toldSize === JSON.stringify(now)) return;
  toldSize = JSON.stringify(now);
  post({ method: "ui/notifications/size-changed", params: now });
}).observe(document.body);

draw();
ask("ui/initialize", {
  protocolVersion: PROTOCOL,
  appInfo: { name: "lictor-job", version: "1" },
  appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
}).then((hello) => {
  state.can = hello?.hostCapabilities ?? {};
  adopt(hello?.hostContext);
  post({ method: "ui/notifications/initialized", params: {} });
  draw();
}, (error) => {
  state.trouble = error;
  draw();
});
