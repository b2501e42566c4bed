// What the job view promises, in a real browser: job_view.mjs PROGRAM CONFIG GO, of a bridge with the hosts web-1 to web-3, and a
// file that the test makes when its job may go on. With LICTOR_PICTURES it leaves pictures of the view there.

import { mkdirSync, writeFileSync } from "node:fs";

import { browser, show } from "./client_page.mjs";
import { check, connect } from "./connect.mjs";
import { JOB, fleet, started } from "./fleet.mjs";

const UI = { "io.modelcontextprotocol/ui": { mimeTypes: ["text/html;profile=mcp-app"] } };
const VIEW = "ui://lictor/job";
const MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>";

const [program, config, go] = process.argv.slice(2);
const client = await connect("auto", ["stdio", program, config], UI);
const html = (await client.readResource({ uri: VIEW })).contents[0].text;
const inside = await browser();

/** Nothing ran that should not, nothing was asked for, nothing became markup. */
async function harmless(shown) {
  check(shown.faults.length === 0, shown.faults);
  check(shown.strangers().length === 0, shown.strangers());
  check(await shown.inner().evaluate(() => document.querySelectorAll("img, iframe, object, a, link, script").length) === 1, "one script");
}

async function begin(shown, input, result) {
  await shown.tell("tool-input", { arguments: input });
  await shown.tell("tool-result", result);
}

// --- A job of the whole system ------------------------------------------------------------------------------------

async function a_job_is_seen_as_it_goes_and_what_its_hosts_print_stays_text() {
  const { tools } = await client.listTools();
  check(tools.find((tool) => tool.name === "ssh_run_async")._meta.ui.resourceUri === VIEW, "the tool has the view");
  const script = `printf 'begun ${MARKUP} \\033[31mred \\342\\200\\256rtl.\\n'; while ! test -e ${go}; do sleep 0.05; done; ` +
    `if mkdir ${go}.taken 2>/dev/null; then echo bad >&2; exit 3; fi`;
  const input = { tag: "all", argv: ["sh", "-c", script] };
  const result = await client.callTool({ name: "ssh_run_async", arguments: input });
  const server = ({ name, arguments: given }) => client.callTool({ name, arguments: given });
  // Without the client's policy: the view's own has to be enough.
  const shown = await show(inside, { html, server, policy: false, can: { serverTools: {}, updateModelContext: {} } });
  const { view } = shown;
  await begin(shown, input, result);

  await view.locator("#rows tr").nth(2).waitFor();
  await view.getByRole("button", { name: "web-1" }).click();
  const text = view.locator("#text");
  const expected = `begun ${MARKUP} \\x1b[31mred \\u{202e}rtl.`;
  await tick(shown, async () => (await text.textContent()).includes(expected), "what a running command printed is there, as text");
  check((await view.locator("#pulse").textContent()) === "Live", "it is live");
  check((await view.locator("#command").textContent()).includes(MARKUP), "the command is text, too");

  writeFileSync(go, "");
  await tick(shown, async () => (await view.locator("#state").textContent()).includes("Partial"), "the end is there");
  check((await view.locator("#chips").textContent()).replaceAll(/\s+/g, " ").includes("2 succeeded"), "two succeeded");
  await view.getByRole("tab", { name: "Same result (2)" }).click();
  const groups = view.locator("#groups .group");
  check((await groups.first().textContent()).includes("1 host") && (await groups.first().textContent()).includes("exit 3"), "what failed is first");
  check((await groups.nth(1).textContent()).includes("2 hosts"), "what is alike is one");
  await groups.first().click();
  await view.getByRole("tab", { name: "stderr" }).click();
  await text.filter({ hasText: /^bad\n$/ }).waitFor();

  const { method, params } = shown.asked[0];
  const told = params.content[0].text;
  check(shown.asked.length === 1 && method === "ui/update-model-context", "the model is told once");
  check(told.includes(result.structuredContent.task_id) && told.includes("PARTIAL") && !told.includes("begun"), told);
  const calls = shown.calls.length;
  await shown.page.clock.runFor(60_000);
  check(shown.calls.length === calls, "nothing is asked any more");
  check(shown.calls.every(({ name }) => ["ssh_view_job", "ssh_job_output", "ssh_get_task_output"].includes(name)), "reading alone");
  await harmless(shown);
  await shown.close();
}

/** Lets the view's time go on until it holds. */
async function tick(shown, holds, what) {
  for (let i = 0; i < 600; i += 1) {
    if (await holds()) return;
    await shown.page.clock.runFor(1000);
    // The answers of the whole system take their own time.
    await new Promise((resolve) => { setTimeout(resolve, 25); });
  }
  throw new Error(`never: ${what}: ${await shown.view.locator("body").textContent()}`);
}

// --- Answers as bad as they can be --------------------------------------------------------------------------------

async function nothing_of_an_answer_becomes_code_or_hides() {
  const bad = `${MARKUP}\u001b[2J\u202egnp.exe\u200b\u{e0041}</script><svg onload=alert(3)>`;
  const rows = ["__proto__", "constructor", bad].map((host) => ({
    host, state: bad, ran: bad, reason: bad, signal: bad, duration_ms: bad, printed: bad, stdout_bytes_total: bad, stderr_bytes_total: 9, wave: bad,
  }));
  const body = {
    job_id: JOB, command: bad, target: bad, created_at: bad, state: "FAILED", halted: bad, wave: "2/<b>4", hosts_total: 3, failed: 3,
    waiting: { who_may_approve: bad, how: bad, reason: bad, expires_at: bad }, hosts: rows, next_page: undefined,
    text: `${bad}\r\n`, output_lines: [bad], bytes_total: 99, next_offset: bad, not_kept: bad,
  };
  const server = () => ({ structuredContent: body });
  const shown = await show(inside, { html, server, policy: false, context: { availableDisplayModes: [bad], styles: { variables: { [bad]: bad, "--font-sans": bad } } } });
  await begin(shown, { command: bad, tag: bad }, { structuredContent: { ...body, task_id: bad } });
  await shown.view.getByRole("tab", { name: "Hosts" }).click();
  await shown.view.locator("#rows tr").nth(2).click();
  const escaped = "\\x1b[2J\\u{202e}gnp.exe\\u{200b}\\u{e0041}</script>";
  await shown.view.locator("#text").filter({ hasText: escaped }).waitFor();
  const whole = await shown.view.locator("body").evaluate((node) => node.innerText);
  check(!/[\u001b\u202e\u200b\r]/.test(whole), "nothing hides");
  check(whole.includes(MARKUP), "markup is text");
  await harmless(shown);
  await shown.close();
}

async function who_is_not_the_client_is_not_heard() {
  const shown = await show(inside, { html, server: fleet({ count: 3 }) });
  const answer = { jsonrpc: "2.0", method: "ui/notifications/tool-result", params: started(3) };
  await shown.inner().evaluate((message) => window.postMessage(message, "*"), answer);
  // Behind it in the same queue: what the client says is heard.
  await shown.tell("tool-input", { arguments: { command: "uptime" } });
  await shown.view.locator("#command").filter({ hasText: "uptime" }).waitFor();
  check(shown.calls.length === 0, "nobody else can show a job");
  await shown.close();
}

// --- Bounds and hands ---------------------------------------------------------------------------------------------

async function a_controller_that_does_not_answer_is_not_asked_for_ever() {
  const shown = await show(inside, { html, server: () => { throw new Error("the bridge is gone"); } });
  await begin(shown, {}, started(3));
  await tick(shown, () => shown.view.locator("#again").isVisible(), "it gives up");
  check(shown.calls.length === 5, `${shown.calls.length} looks`);
  check((await shown.view.locator("#trouble").textContent()).includes("the bridge is gone"), "and says why");
  await shown.page.clock.runFor(600_000);
  check(shown.calls.length === 5, "not asked again by itself");
  await shown.view.getByRole("button", { name: "Look again" }).click();
  await tick(shown, async () => shown.calls.length > 5, "asked again by hand");
  await shown.close();
}

async function stopping_takes_two_decisions_of_a_person() {
  const shown = await show(inside, { html, server: fleet({ count: 3, over: 0 }) });
  await begin(shown, {}, started(3));
  const stops = () => shown.calls.filter(({ name }) => name === "ssh_cancel");
  await shown.view.getByRole("button", { name: "Stop", exact: true }).click();
  await shown.view.getByRole("button", { name: "Let it run" }).click();
  await shown.view.getByRole("button", { name: "Stop", exact: true }).click();
  check(stops().length === 0, "nothing is stopped before both");
  await shown.view.getByRole("button", { name: "Stop it" }).click();
  await tick(shown, async () => stops().length === 1, "it is stopped");
  check(JSON.stringify(stops()[0].arguments) === JSON.stringify({ job_id: JOB }), stops());
  await shown.close();
}

async function two_hundred_hosts_are_found_filtered_and_walked_with_the_keyboard() {
  const shown = await show(inside, { html, server: fleet({ count: 200 }) });
  const { view, page } = shown;
  await begin(shown, {}, started(200));
  await view.getByRole("tab", { name: "Hosts" }).click();
  const rows = view.locator("#rows tr:visible");
  check((await rows.count()) === 200, "all of them");
  await view.getByLabel("Find a host").fill("web-150");
  check((await rows.count()) === 1, "one is found");
  await view.getByLabel("Find a host").fill("");
  await view.getByRole("group", { name: "Show hosts by outcome" }).getByRole("button", { name: "failed" }).click();
  check((await rows.count()) === 9, "those that failed");
  await rows.first().getByRole("button").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  check((await view.locator("#rows tr[aria-selected=true]").textContent()).includes("web-031"), "the second of them");
  await view.locator("#text").filter({ hasText: "failed state" }).waitFor();
  check((await view.locator("#whose").textContent()).includes("the same on 9 hosts"), "and how many are alike");
  await harmless(shown);
  await shown.close();
}

async function without_calls_of_tools_it_shows_what_the_tool_answered() {
  const shown = await show(inside, { html, server: fleet({ count: 3 }), can: {} });
  const result = {
    job_id: JOB, state: "PARTIAL", hosts_total: 3, succeeded: 2, failed: 1, not_run: 0, cancelled: 0, unknown: 0, unfinished: 0,
    results: [
      { hosts: ["web-2"], hosts_count: 1, host: "web-2", state: "FAILED", ran: "ran", exit_code: 1, stdout: "", stdout_bytes_total: 0, stderr: "no\n", stderr_bytes_total: 3 },
      { hosts: ["web-[1,3]"], hosts_count: 2, host: "web-1", state: "SUCCEEDED", ran: "ran", exit_code: 0, stdout: "yes\n", stdout_bytes_total: 4, stderr: "", stderr_bytes_total: 0 },
    ],
  };
  await begin(shown, { command: "id" }, { structuredContent: result });
  await shown.view.getByRole("button", { name: "web-[1,3]" }).click();
  await shown.view.locator("#text").filter({ hasText: "yes" }).waitFor();
  check(shown.calls.length === 0, "it asks for nothing");
  await shown.close();
}

async function a_refusal_is_told_and_the_theme_is_the_clients() {
  const shown = await show(inside, { html, server: fleet({ count: 3 }) });
  const refusal = { code: "POLICY_DENIED", message: "no rule allows it", next_step: "see ssh_plan" };
  await begin(shown, { command: "reboot" }, { isError: true, structuredContent: refusal });
  await shown.view.locator("#notice").filter({ hasText: "POLICY_DENIED: no rule allows it" }).waitFor();
  const background = () => shown.inner().evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await shown.tell("host-context-changed", { theme: "dark" });
  await shown.inner().waitForFunction(() => document.documentElement.dataset.theme === "dark");
  check(light !== (await background()), "dark is not light");
  await shown.close();
}

// --- Pictures -----------------------------------------------------------------------------------------------------

async function pictures(folder) {
  mkdirSync(folder, { recursive: true });
  const shots = [
    { name: "10-running", count: 10, over: 6, extra: { wave: "2/3" } },
    { name: "10-ended", count: 10 },
    { name: "200-ended", count: 200 },
    { name: "200-hosts", count: 200, tab: "Hosts" },
    { name: "200-wide", count: 200, tab: "Hosts", size: { width: 1100, height: 900 } },
    { name: "10-narrow", count: 10, tab: "Hosts", size: { width: 380, height: 900 } },
  ];
  for (const theme of ["light", "dark"]) {
    for (const { name, tab, size, ...of } of shots) {
      const shown = await show(inside, { html, server: fleet(of), context: { theme, availableDisplayModes: ["inline", "fullscreen"] }, ...(size && { size }) });
      await shown.page.emulateMedia({ colorScheme: theme });
      await begin(shown, {}, started(of.count));
      await shown.view.locator("#bench").waitFor();
      if (tab) await shown.view.getByRole("tab", { name: tab }).click();
      if (of.over) await shown.view.locator("#rows tr").nth(7).click();
      await shown.view.locator("#text").filter({ hasText: /\w/ }).waitFor();
      await shown.page.screenshot({ path: `${folder}/${name}-${theme}.png`, fullPage: true });
      await shown.close();
    }
  }
}

const promises = [
  a_job_is_seen_as_it_goes_and_what_its_hosts_print_stays_text,
  nothing_of_an_answer_becomes_code_or_hides,
  who_is_not_the_client_is_not_heard,
  a_controller_that_does_not_answer_is_not_asked_for_ever,
  stopping_takes_two_decisions_of_a_person,
  two_hundred_hosts_are_found_filtered_and_walked_with_the_keyboard,
  without_calls_of_tools_it_shows_what_the_tool_answered,
  a_refusal_is_told_and_the_theme_is_the_clients,
];
try {
  for (const promise of promises) {
    await promise().catch((error) => { throw new Error(promise.name, { cause: error }); });
  }
  if (process.env.LICTOR_PICTURES) await pictures(process.env.LICTOR_PICTURES);
  console.log(`job view: ${promises.length} promises kept`);
} finally {
  await inside.close();
  await client.close();
}
