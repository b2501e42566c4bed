// The job: what its tool answered, and how it goes on until it has ended.

function answer(result) {
  const body = content(result);
  const id = [body?.job_id, body?.task_id].find((id) => JOB.test(id));
  state.answer = { ...body, failed: Boolean(result?.isError) };
  if (!body) state.answer.message = "The tool gave no answer that can be shown.";
  if (id) {
    state.job ??= { job_id: id, state: body.state ?? "", command: body.command, target: body.target };
    if (state.can.serverTools) look();
    else for (const name of ["hosts_total", ...KINDS.map((kind) => kind.count)]) state.job[name] = number(body[name]);
  }
  draw();
}

const ended = () => ENDED.includes(state.job?.state);

async function look() {
  if (state.looking || state.gone || !state.job || !state.can.serverTools) return;
  clearTimeout(state.timer);
  state.looking = true;
  state.looks += 1;
  try {
    const before = JSON.stringify([state.job, [...state.hosts.values()]]);
    await read();
    state.failures = 0;
    state.trouble = null;
    const same = before === JSON.stringify([state.job, [...state.hosts.values()]]);
    state.pause = same ? Math.min(state.pause * 2, LONGEST_PAUSE_MS) : FIRST_PAUSE_MS;
  } catch (error) {
    state.failures += 1;
    state.trouble = error;
    state.pause = Math.min(state.pause * 2, LONGEST_PAUSE_MS);
  }
  state.looking = false;
  if (!ended()) state.seenOpen = true;
  else tell();
  choose();
  draw();
  follow();
  later();
}

async function read() {
  const hosts = new Map();
  let page, next;
  do {
    page = await call("ssh_view_job", next ? { job_id: state.job.job_id, page: next } : { job_id: state.job.job_id });
    for (const row of Array.isArray(page.hosts) ? page.hosts : []) hosts.set(String(row.host), row);
    next = page.next_page;
  } while (next && hosts.size < MAX_HOSTS);
  delete page.hosts;
  state.job = page;
  state.left = Math.max(number(page.hosts_total) - hosts.size, 0);
  state.hosts = new Map([...hosts].sort(([a], [b]) => collator.compare(a, b)));
}

function later() {
  clearTimeout(state.timer);
  if (state.gone || ended()) return;
  state.stalled = state.looks >= MAX_LOOKS || state.failures >= MAX_FAILURES;
  if (state.stalled) return draw();
  if (document.hidden || !state.onScreen) return;
  state.timer = setTimeout(look, state.pause + (state.hosts.size / HOSTS_PER_SECOND) * 1000);
}

// What a model that started the job and went on has not heard. Counts and states alone: nothing that a host printed.
function tell() {
  if (state.told || !state.seenOpen || !state.can.updateModelContext) return;
  state.told = true;
  const counts = KINDS.filter((kind) => number(state.job[kind.count]) > 0)
    .map((kind) => number(state.job[kind.count]) + " " + kind.label.toLowerCase());
  const text = "The job " + state.job.job_id + " has ended: " + state.job.state + " (hosts: " + counts.join(", ") +
    "). ssh_get_task_result tells what became of it.";
  ask("ui/update-model-context", { content: [{ type: "text", text }] }).catch(() => {});
}

document.addEventListener("visibilitychange", () => { if (!document.hidden && !ended() && !state.stalled) look(); });
new IntersectionObserver((entries) => {
  const was = state.onScreen;
  state.onScreen = entries.some((entry) => entry.isIntersecting);
  if (!was && state.onScreen && !ended() && !state.stalled) look();
}).observe(document.body);
