// Hosts where it ended alike and printed the same.

function groups() {
  if (state.hosts.size === 0) return told();
  const all = new Map();
  for (const row of state.hosts.values()) {
    const open = kindOf(row.state) === "open";
    const printed = open ? "" : row.printed ?? "of " + row.host;
    const key = JSON.stringify([row.state, row.exit_code, row.signal, row.reason, printed]);
    const group = all.get(key) ?? { key, row, names: [], count: 0 };
    group.names.push(row.host);
    group.count += 1;
    all.set(key, group);
  }
  return order([...all.values()]);
}

// From the tool's answer alone, where the view cannot ask.
function told() {
  const results = Array.isArray(state.answer?.results) ? state.answer.results : [];
  return order(results.map((row) => {
    const names = (Array.isArray(row.hosts) ? row.hosts : [row.host]).map(String);
    return { key: "told " + row.host, row, names, count: number(row.hosts_count) || 1, told: true };
  }));
}

function order(all) {
  const rank = (group) => (kindOf(group.row.state) === "ok" ? 1 : kindOf(group.row.state) === "open" ? 2 : 0);
  return all.sort((a, b) => rank(a) - rank(b) || b.count - a.count);
}

async function preview(group) {
  const { key, row } = group;
  if (state.previews.has(key) || group.told || kindOf(row.state) === "open" || !state.can.serverTools) return;
  const stderr = number(row.stdout_bytes_total) === 0;
  if (number(row.stdout_bytes_total) + number(row.stderr_bytes_total) === 0) return;
  state.previews.set(key, "");
  try {
    const given = { job_id: state.job.job_id, host: row.host, stderr, max_bytes: PREVIEW_BYTES };
    state.previews.set(key, (await call("ssh_job_output", given)).text);
  } catch {
    return;
  }
  draw();
}
