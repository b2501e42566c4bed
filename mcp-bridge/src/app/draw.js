// The page, drawn from what is known.

function draw() {
  const job = state.job;
  drawHead(job);
  drawNotices(job);
  const any = state.hosts.size > 0 || told().length > 0;
  by("bench").hidden = by("panes").hidden = !any;
  if (any) {
    drawTabs();
    if (state.tab === "groups") drawGroups();
    else drawHosts();
    drawOutput();
  }
  drawFoot(job);
  say(job);
}

function drawHead(job) {
  const input = state.input ?? {};
  const asked = input.command ?? (Array.isArray(input.argv) ? input.argv.join(" ") : undefined);
  put(by("command"), job?.command ?? asked ?? (job ? "Job" : "Waiting for the job"));
  const target = job?.target ?? state.answer?.target ?? input.alias ?? (input.tag ? "tag:" + input.tag : input.match);
  const total = number(job?.hosts_total);
  const about = [target, total ? plural(total, "host", "hosts") : "", job?.created_at ? clock(job.created_at) : ""];
  by("about").replaceChildren(...about.filter(Boolean).map((text) => make("span", "ltr", text)));
  by("stop").hidden = !job || !state.can.serverTools || ended() || job.state === "CANCELLING" || !job.created_at;
  if (by("stop").hidden) by("sure").hidden = true;
  const modes = Array.isArray(state.context.availableDisplayModes) ? state.context.availableDisplayModes : [];
  by("full").hidden = !modes.includes("fullscreen");
  put(by("full"), state.context.displayMode === "fullscreen" ? "Leave full screen" : "Full screen");
  const word = job?.state || (state.answer ? "" : state.input ? "RUNNING" : "");
  by("state").hidden = !word;
  if (word) by("state").replaceChildren(...pill(word).childNodes);
  by("state").className = "pill big " + kindOf(word);
  drawBar(job, total);
  drawWaves(job);
}

function drawBar(job, total) {
  const bar = by("bar"), chips = by("chips");
  bar.hidden = !total;
  if (!total) return chips.replaceChildren();
  const counts = KINDS.map((kind) => ({ ...kind, n: number(job[kind.count]) })).filter((kind) => kind.n > 0);
  const known = new Map([...bar.children].map((part) => [part.className, part]));
  bar.replaceChildren(...counts.map((kind) => {
    const part = known.get(kind.name) ?? make("b", kind.name);
    part.style.flexGrow = String(kind.n);
    return part;
  }));
  bar.setAttribute("aria-label", counts.map((kind) => kind.n + " " + kind.label.toLowerCase()).join(", "));
  const old = new Map([...chips.children].map((chip) => [chip.dataset.kind, chip]));
  chips.replaceChildren(...counts.map((kind) => {
    const chip = old.get(kind.name) ?? newChip(kind);
    put(chip.lastChild.firstChild, String(kind.n));
    chip.setAttribute("aria-pressed", String(state.kind === kind.name));
    return chip;
  }));
  if (state.kind && !counts.some((kind) => kind.name === state.kind)) state.kind = null;
}

function newChip(kind) {
  const chip = make("button", "chip " + kind.name);
  chip.type = "button";
  chip.dataset.kind = kind.name;
  const glyph = make("i", "", kind.glyph);
  glyph.setAttribute("aria-hidden", "true");
  const label = make("span");
  label.append(make("strong"), " " + kind.label.toLowerCase());
  chip.append(glyph, label);
  chip.addEventListener("click", () => {
    state.kind = state.kind === kind.name ? null : kind.name;
    draw();
  });
  return chip;
}

function drawWaves(job) {
  const [now, all] = String(job?.wave ?? "").split("/").map(Number);
  const waves = by("waves");
  waves.hidden = !(all > 1);
  if (waves.hidden) return;
  const steps = Array.from({ length: Math.min(all, 20) }, (_, i) => {
    const over = i + 1 < now || (i + 1 === now && ended());
    return make("b", over ? "done" : i + 1 === now ? "now" : "");
  });
  waves.replaceChildren(...steps, make("span", "", " wave " + now + " of " + all));
}

function drawNotices(job) {
  const lines = [];
  let kind = "";
  const waits = job?.waiting;
  const { answer } = state;
  if (waits) {
    kind = "wait";
    lines.push("Waits for " + waits.who_may_approve + ". " + (waits.reason ?? ""), "To approve: " + waits.how + " (until " + clock(waits.expires_at) + ")");
  } else if (job?.halted) {
    kind = "bad";
    lines.push("Halted: " + words(job.halted).toLowerCase() + ". Hosts whose turn had not come did not run.");
  } else if (answer?.message && (!job || answer.failed)) {
    kind = answer.failed ? "bad" : "";
    lines.push((answer.code ? answer.code + ": " : "") + answer.message, answer.next_step);
  } else if (!answer && state.input) {
    lines.push("The hosts appear when the tool answers.");
  } else if (job && !state.can.serverTools) {
    lines.push("This client does not let the view ask, so it shows what the tool answered and does not change.");
  }
  fill(by("notice"), lines, "notice " + kind);
  const trouble = state.trouble;
  fill(by("trouble"), trouble ? ["This is not up to date: " + trouble.message, trouble.step] : [], "notice bad");
}

function fill(node, lines, classes) {
  const shown = lines.filter(Boolean);
  node.hidden = shown.length === 0;
  node.className = classes;
  if (node.dataset.lines === shown.join("\n")) return;
  node.dataset.lines = shown.join("\n");
  node.replaceChildren(...shown.map((line) => make("p", "", line)));
}

function drawTabs() {
  const live = state.hosts.size > 0;
  if (!live) state.tab = "groups";
  pick("tab-hosts", state.tab !== "groups");
  pick("tab-groups", state.tab === "groups");
  by("tab-hosts").hidden = !live;
  put(by("tab-groups"), "Same result (" + groups().length + ")");
  by("list").setAttribute("aria-labelledby", state.tab === "groups" ? "tab-groups" : "tab-hosts");
  by("find").hidden = !live || state.hosts.size < 8;
  by("hosts").hidden = state.tab === "groups";
  by("groups").hidden = state.tab !== "groups";
  by("panes").classList.toggle("two", state.output !== null);
}

function pick(id, selected) {
  const tab = by(id);
  tab.setAttribute("aria-selected", String(selected));
  tab.tabIndex = selected ? 0 : -1;
}

const drawn = new Map();

function drawHosts() {
  const waves = [...state.hosts.values()].some((row) => Number.isFinite(row.wave));
  by("wave-head").hidden = !waves;
  const body = by("rows");
  let shown = 0;
  for (const [host, row] of state.hosts) {
    let node = drawn.get(host);
    const mark = JSON.stringify([row, waves]);
    if (node?.mark !== mark) {
      const fresh = hostRow(row, waves);
      if (node) node.row.replaceWith(fresh);
      else body.append(fresh);
      if (node?.row.contains(document.activeElement)) fresh.querySelector("button").focus();
      node = { row: fresh, mark };
      drawn.set(host, node);
    }
    const matches = (!state.kind || kindOf(row.state) === state.kind) && host.includes(state.find);
    node.row.hidden = !matches;
    node.row.setAttribute("aria-selected", String(host === state.chosen));
    if (matches) shown += 1;
  }
  rove();
  const none = by("none");
  none.hidden = shown > 0 && state.left === 0;
  put(none, shown === 0 ? "No such host." : plural(state.left, "host is", "hosts are") + " not shown here; ssh_job_output reads them.");
}

function hostRow(row, waves) {
  const node = make("tr");
  const name = make("button", "name ltr", row.host);
  name.type = "button";
  name.tabIndex = -1;
  const outcome = make("td");
  outcome.append(pill(row.state));
  const reason = why(row);
  if (reason) outcome.append(make("span", "why", reason));
  const cell = make("td");
  cell.append(name);
  node.append(cell, outcome);
  if (waves) node.append(make("td", "number", row.wave > 0 ? String(row.wave) : "–"));
  const printed = number(row.stdout_bytes_total) + number(row.stderr_bytes_total);
  node.append(make("td", "number", time(row.duration_ms)), make("td", "number size", printed ? size(printed) : ""));
  node.addEventListener("click", () => open(row.host));
  return node;
}

const visibleNames = () => [...by("rows").querySelectorAll("tr:not([hidden]) .name")];

// One host at a time can be reached with the tabulator; the arrows go from one to the next.
function rove() {
  const names = visibleNames();
  const chosen = names.find((name) => name === document.activeElement) ??
    names.find((name) => name.closest("tr").getAttribute("aria-selected") === "true") ?? names[0];
  for (const name of by("rows").querySelectorAll(".name")) name.tabIndex = name === chosen ? 0 : -1;
}

by("rows").addEventListener("keydown", (event) => {
  const names = visibleNames();
  const at = names.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: names.length - 1 }[event.key];
  if (at < 0 || to === undefined || !names[to]) return;
  event.preventDefault();
  names[to].focus();
  rove();
});

function drawGroups() {
  const node = by("groups");
  const all = groups().filter((group) => (!state.kind || kindOf(group.row.state) === state.kind) &&
    (!state.find || group.names.some((name) => name.includes(state.find))));
  all.slice(0, PREVIEWS).forEach((group) => preview(group));
  const focused = node.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const old = new Map([...node.children].map((card) => [card.dataset.key, card]));
  node.replaceChildren(...all.slice(0, MAX_HOSTS).map((group) => {
    const shown = JSON.stringify([group.names, group.row, state.previews.get(group.key)]);
    const known = old.get(group.key);
    const card = known?.dataset.shown === shown ? known : groupCard(group, shown);
    card.setAttribute("aria-current", String(group.names.includes(state.chosen) || group.row.host === state.chosen));
    return card;
  }));
  if (focused !== null) [...node.children].find((card) => card.dataset.key === focused)?.focus();
  const none = by("none");
  none.hidden = all.length > 0 && state.left === 0;
  put(none, all.length === 0 ? "No such host." : plural(state.left, "host is", "hosts are") + " not shown here.");
}

function groupCard(group, shown) {
  const card = make("button", "group");
  card.type = "button";
  card.dataset.key = group.key;
  card.dataset.shown = shown;
  const head = make("span", "row");
  head.append(make("span", "count", plural(group.count, "host", "hosts")), pill(group.row.state));
  const reason = why(group.row);
  if (reason) head.append(make("span", "muted", reason));
  const more = group.names.length > NAMES ? " and " + (group.names.length - NAMES) + " more" : "";
  const names = make("span", "names mono ltr", group.names.slice(0, NAMES).join(", ") + more);
  card.append(head, block(names));
  const text = state.previews.get(group.key) ?? (group.told ? (group.row.stdout || group.row.stderr || "").slice(0, PREVIEW_BYTES) : "");
  if (text) card.append(block(put(make("span", "preview ltr"), text, true)));
  card.addEventListener("click", () => open(group.row.host));
  return card;
}

function block(node) {
  node.style.display = "block";
  return node;
}

function drawOutput() {
  const output = state.output;
  by("output").hidden = output === null;
  if (!output) return;
  const row = rowOf(output.host);
  const alike = groups().find((group) => group.names.includes(output.host))?.count ?? 1;
  put(by("whose"), output.host + (alike > 1 && kindOf(row?.state) !== "open" ? "  (the same on " + alike + " hosts)" : ""));
  pick("tab-stdout", output.stream === "stdout");
  pick("tab-stderr", output.stream === "stderr");
  by("text").setAttribute("aria-labelledby", "tab-" + output.stream);
  const node = by("text");
  const atEnd = node.scrollTop + node.clientHeight >= node.scrollHeight - 4;
  put(node, output.text, true);
  if (output.live && atEnd) node.scrollTop = node.scrollHeight;
  put(by("amount"), amount(output, row));
  by("more").hidden = !Number.isFinite(output.next) || output.full || output.loading;
}

function amount(output, row) {
  if (output.error) return output.error.message;
  if (output.loading && output.text === "") return "Reading…";
  if (!number(output.total)) return row?.ran === "not_run" ? "It did not run there." : "It printed nothing on " + output.stream + ".";
  if (output.live) return size(output.total) + " so far" + (output.cut ? "; the last lines are shown" : "");
  const rest = output.full ? "; the rest is for ssh_job_output" : Number.isFinite(output.next) ? "; there is more" : "";
  return size(output.total) + rest;
}

function drawFoot(job) {
  const pulse = by("pulse");
  const live = Boolean(job) && !ended() && state.can.serverTools && !state.stalled;
  pulse.className = live && !state.trouble ? "live" : "";
  put(pulse, !job || !state.can.serverTools ? "" : ended() ? "Ended" : state.stalled ? "No longer updated" : state.trouble ? "Trying again" : "Live");
  by("again").hidden = !state.stalled;
  put(by("id"), job?.job_id ?? "");
}

function say(job) {
  const total = number(job?.hosts_total);
  if (!total || (!ended() && Date.now() - state.said < SAY_MS)) return;
  state.said = Date.now();
  const over = total - number(job.unfinished);
  put(by("said"), words(job.state) + ": " + over + " of " + total + " hosts ended, " + number(job.failed) + " failed.");
}
