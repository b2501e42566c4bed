// Uses every tool, resource and prompt of the bridge, and a task, with the official TypeScript client:
// every_tool.mjs MODE FILES stdio PROGRAM CONFIG, or every_tool.mjs MODE FILES http URL TOKEN. In the directory FILES, policy permits files.
// Every tool has to succeed at least once.
//
// The client itself checks every structured result against the tool's output schema.

import { createTaskSessionFromClient, resultFromTaskOutcome } from "@modelcontextprotocol/ext-tasks/client";

import { CLIENT, MODERN, check, connect } from "./connect.mjs";

const TASKS = { "io.modelcontextprotocol/tasks": {} };
// A machine that does much else takes its time to begin a command.
const BEGIN_MS = 120_000;
const SKILL = "skill://operate-hosts/SKILL.md";
const NOWHERE = "job_00000000000000000000000000";

const [mode, files, ...where] = process.argv.slice(2);
const client = await connect(mode, where);
const tools = new Set((await client.listTools()).tools.map((tool) => tool.name));
const used = new Set();
const succeeded = new Set();

async function call(name, given = {}, { refused = false, ...options } = {}) {
  used.add(name);
  const result = await client.callTool({ name, arguments: given }, options);
  check(Boolean(result.isError) === refused, { name, given, result });
  if (!refused) succeeded.add(name);
  check(JSON.stringify(JSON.parse(result.content[0].text)) === JSON.stringify(result.structuredContent), `${name} says it once`);
  return result.structuredContent;
}
const refuse = (name, given) => call(name, given, { refused: true });

async function look() {
  await call("ssh_ping");
  const { hosts } = await call("ssh_list_hosts");
  check(hosts.map((host) => host.alias).join() === "web-1,web-2", hosts);
  const matched = await call("ssh_list_hosts", { match: "tag:all and not host:web-2" });
  check(matched.hosts.map((host) => host.alias).join() === "web-1", matched);
  check((await call("ssh_describe_host", { alias: "web-1" })).alias === "web-1", "describe");
  await refuse("ssh_describe_host", { alias: "nowhere" });
  check((await call("ssh_plan", { alias: "web-1", command: "echo hi" })).allowed, "plan");
  const why = await call("ssh_explain_denial", { alias: "web-1", command: "rm -rf /srv" });
  check(why.effect === "DENY" && why.rule === "never", why);
  check((await call("ssh_reload_config")).status === "current", "reload changes nothing");
}

async function run() {
  const ran = await call("ssh_run", { alias: "web-1", command: "echo hi" });
  check(ran.stdout === "hi\n" && ran.state === "SUCCEEDED" && ran.ran === "ran", ran);
  const failed = await call("ssh_run", { alias: "web-1", argv: ["sh", "-c", "echo no >&2; exit 3"] });
  check(failed.state === "FAILED" && failed.exit_code === 3 && failed.stderr === "no\n", failed);
  const denied = await refuse("ssh_run", { alias: "web-1", command: "reboot" });
  check(denied.code === "POLICY_DENIED" && denied.next_step, denied);
  check((await refuse("ssh_run", { alias: "web-1", command: "echo $(id)" })).code === "COMMAND_REFUSED", "an expansion");
  const everywhere = await call("ssh_run_on_tag", { tag: "all", command: "echo hi" });
  check(everywhere.results.length === 1 && everywhere.results[0].hosts[0] === "web-[1-2]", everywhere);
  check((await refuse("ssh_upload", { alias: "web-1", path: "/srv/x", text: "x" })).code === "POLICY_DENIED", "upload");
  check((await refuse("ssh_download", { alias: "web-1", path: "/srv/x" })).code === "POLICY_DENIED", "download");
  const path = `${files}/${mode}-${where[0]}.bin`;
  const base64 = Buffer.from([0, 1, 2, 255, 10]).toString("base64");
  const put = await call("ssh_upload", { alias: "web-1", path, base64 });
  check(put.state === "SUCCEEDED" && put.bytes === 5, put);
  const got = await call("ssh_download", { alias: "web-2", path });
  check(got.base64 === base64 && got.sha256 === put.sha256, got);
  await call("ssh_upload", { alias: "web-1", path, text: "listen 80\n" });
  check((await call("ssh_download", { alias: "web-1", path })).text === "listen 80\n", "the file is the new one");
  const own = await call("ssh_search_audit", { query: `job:${ran.job_id} kind:invocation_ended` });
  check(own.records.length === 1 && own.records[0].outcome === "SUCCEEDED", own);
  const page = await call("ssh_job_output", { job_id: ran.job_id, host: "web-1" });
  check(page.text === "hi\n" && page.bytes_total === 3, page);
  const found = await call("ssh_job_output", { job_id: ran.job_id, host: "web-1", grep: "^h" });
  check(found.matches.length === 1 && found.matches[0].line === 1, found);
  check((await call("ssh_cancel", { job_id: ran.job_id })).already_ended, "it has ended");
  await refuse("ssh_cancel", { job_id: NOWHERE });
  const progress = [];
  await call("ssh_run", { alias: "web-1", command: "sleep 1" }, { onprogress: (note) => progress.push(note) });
  check(progress.length > 0, "progress came");
}

async function start() {
  const started = await call("ssh_run_async", { match: "tag:all", argv: ["echo", "later"], rollout: { waves: ["1"] } });
  const task_id = started.task_id;
  const status = await call("ssh_get_task_status", { task_id, wait_seconds: 30 });
  check(status.status === "completed" && status.succeeded === 2 && status.progress_percent === 100, status);
  const result = await call("ssh_get_task_result", { task_id });
  check(result.state === "SUCCEEDED" && result.results[0].stdout === "later\n", result);
  await refuse("ssh_get_task_output", { task_id });
  const lines = await call("ssh_get_task_output", { task_id, host: "web-2", max_lines: 5 });
  check(lines.output_lines.join() === "later" && !lines.has_more, lines);
  const { jobs } = await call("ssh_list_jobs", { text: "later" });
  check(jobs.some((job) => job.job_id === task_id), jobs);
  return task_id;
}

// Until it runs for certain: what is stopped before may end as UNKNOWN.
async function begun(task_id) {
  const until = Date.now() + BEGIN_MS;
  while (Date.now() < until) {
    const { output_lines } = await call("ssh_get_task_output", { task_id });
    if (output_lines.join() === "begun.") return;
  }
  throw new Error(`${task_id} never began`);
}

// What is subscribed to is told: by the stream that asked in the one era, to the session in the other.
async function stop() {
  const { task_id } = await call("ssh_run_async", { alias: "web-1", argv: ["sh", "-c", "echo begun.; sleep 300"] });
  await begun(task_id);
  const uri = `job://${task_id}`;
  const told = new Promise((resolve) => {
    client.setNotificationHandler("notifications/resources/updated", (note) => resolve(note.params.uri));
  });
  await refuse("ssh_get_task_result", { task_id });
  const modern = mode !== "legacy";
  const subscription = modern
    ? await client.listen({ resourceSubscriptions: [uri, "ssh://hosts"] })
    : await client.subscribeResource({ uri });
  check((await call("ssh_cancel_async_task", { task_id })).cancelled, "it is cancelled");
  check((await told) === uri, "only what was subscribed to is told");
  if (modern) await subscription.close();
  else await client.unsubscribeResource({ uri });
  const status = await call("ssh_get_task_status", { task_id, wait_seconds: 60 });
  check(status.status === "cancelled", status);
}

async function read(task) {
  const resources = (await client.listResources()).resources.map((resource) => resource.uri);
  check(resources.toSorted().join() === `${SKILL},ssh://capabilities,ssh://hosts,ssh://tags`, resources);
  const skill = (await client.readResource({ uri: SKILL })).contents[0];
  check(skill.mimeType === "text/markdown" && skill.text.includes("ssh_explain_denial"), skill);
  const templates = (await client.listResourceTemplates()).resourceTemplates.map((template) => template.uriTemplate);
  check(templates.toSorted().join() === "job://{id},job://{id}/output,ssh://host/{alias}", templates);
  for (const uri of [...resources.filter((uri) => uri !== SKILL), "ssh://host/web-1", `job://${task}`, `job://${task}/output`]) {
    check(JSON.parse((await client.readResource({ uri })).contents[0].text), uri);
  }
  for (const uri of ["ssh://host/nowhere", `job://${NOWHERE}`, "file:///etc/passwd"]) {
    const refused = await client.readResource({ uri }).then(() => null, (error) => error);
    check(refused !== null, `${uri} cannot be read`);
  }
}

async function prompt() {
  const given = {
    plan_change: { goal: "upgrade", tag: "all" },
    read_denial: { host: "web-1", command: "reboot" },
    ask_for_approval: { command: "reboot", hosts: "web-1", reason: "kernel" },
  };
  const names = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
  check(names.toSorted().join() === Object.keys(given).toSorted().join(), names);
  for (const [name, args] of Object.entries(given)) {
    const { text } = (await client.getPrompt({ name, arguments: args })).messages[0].content;
    check(Object.values(args).every((value) => text.includes(value)), text);
  }
  const ref = { type: "ref/resource", uri: "ssh://host/{alias}" };
  const { completion } = await client.complete({ ref, argument: { name: "alias", value: "we" } });
  check(completion.values.join() === "web-1,web-2", completion);
}

// The extension is used by a package of its own, which sends whole requests beside the client.
async function tasks() {
  const knowing = await connect(MODERN, where, TASKS);
  const transport = knowing.transport;
  const deliver = transport.onmessage;
  const asked = new Map();
  transport.onmessage = (message, extra) => {
    const answered = message.method === undefined ? asked.get(message.id) : undefined;
    if (answered === undefined) return deliver(message, extra);
    asked.delete(message.id);
    answered(message);
  };
  const rawDispatch = (request) =>
    new Promise((resolve, reject) => {
      const id = `task-${asked.size}-${Date.now()}`;
      asked.set(id, resolve);
      transport.send({ jsonrpc: "2.0", id, method: request.method, params: request.params }).catch(reject);
    });
  const v2RequestFraming = { protocolVersion: MODERN, clientInfo: CLIENT, clientCapabilities: { extensions: TASKS } };
  const session = createTaskSessionFromClient(knowing, { endpointId: "lictor", rawDispatch, v2RequestFraming });

  const done = await session.callTool("ssh_run", { alias: "web-1", command: "echo task" });
  check(done.kind === "task", "it is a task");
  const result = resultFromTaskOutcome((await done.settle()).outcome);
  check(result.structuredContent.stdout === "task\n", result);
  const slow = await session.callTool("ssh_run", { alias: "web-1", argv: ["sh", "-c", "echo begun.; sleep 301"] });
  await begun(slow.handle.taskId.split(":")[1]);
  await slow.cancel();
  check((await slow.settle()).outcome.status === "cancelled", "it is cancelled");
  await session.close();
  await knowing.close();
}

await look();
await run();
const task = await start();
await stop();
await read(task);
await prompt();
if (mode === MODERN) await tasks();
check(succeeded.size === tools.size, `never a success: ${[...tools].filter((name) => !succeeded.has(name))}`);
await client.close();
console.log(`${mode} ${where[0]}: ${used.size} tools used`);
