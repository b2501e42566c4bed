// What a host printed, so far or in the end.

function rowOf(host) {
  return state.hosts.get(host) ?? told().find((group) => group.row.host === host)?.row;
}

function choose() {
  if (state.tab === null && state.job) state.tab = ended() && number(state.job.hosts_total) > 1 ? "groups" : "hosts";
  if (state.chosen !== null || !ended()) return;
  const first = groups()[0];
  if (first) open(first.row.host);
}

function open(host) {
  const row = rowOf(host);
  if (!row) return;
  state.chosen = host;
  state.stream = number(row.stdout_bytes_total) === 0 && number(row.stderr_bytes_total) > 0 ? "stderr" : "stdout";
  fetchOutput();
}

function fetchOutput() {
  const row = rowOf(state.chosen);
  state.output = { host: state.chosen, stream: state.stream, text: "", live: kindOf(row?.state) === "open", loading: true };
  draw();
  more();
}

async function more() {
  const output = state.output;
  const row = rowOf(output.host);
  if (!state.can.serverTools) {
    Object.assign(output, { loading: false, text: row?.[output.stream] ?? "", total: row?.[output.stream + "_bytes_total"] });
    return draw();
  }
  output.loading = true;
  const stderr = output.stream === "stderr";
  try {
    if (output.live) {
      const given = { task_id: state.job.job_id, host: output.host, stderr, max_lines: TAIL_LINES };
      const tail = await call("ssh_get_task_output", given);
      output.text = (Array.isArray(tail.output_lines) ? tail.output_lines : []).join("\n");
      output.total = tail.bytes_total;
      output.cut = tail.has_more;
    } else {
      const given = { job_id: state.job.job_id, host: output.host, stderr, offset: number(output.next), max_bytes: PAGE_BYTES };
      const page = await call("ssh_job_output", given);
      if (number(page.not_kept) > 0) output.text += "\n[lictor: " + number(page.not_kept) + " bytes were not kept]\n";
      output.text += page.text;
      output.total = page.bytes_total;
      output.next = page.next_offset;
      output.full = output.text.length >= MAX_SHOWN;
    }
    output.error = null;
  } catch (error) {
    output.error = error;
  }
  output.loading = false;
  if (state.output === output) draw();
}

// What is shown of a host that still runs goes on; what it printed is read from the start once it has ended.
function follow() {
  const output = state.output;
  if (!output?.live || output.loading) return;
  if (kindOf(rowOf(output.host)?.state) === "open") more();
  else fetchOutput();
}
