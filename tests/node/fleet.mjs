// Answers of a bridge about a made-up fleet: as many hosts as wanted, of which some fail and one cannot be reached.

export const JOB = "job_01JDQ5Z7X8K9M2N3P4R5S6T7V8";

const text = (body) => ({ content: [{ type: "text", text: JSON.stringify(body) }], structuredContent: body });

/** What stands in for a bridge, with `count` hosts of which `over` have ended. */
export function fleet({ count, over = count, command = "systemctl status nginx --no-pager", extra = {} }) {
  const hosts = Array.from({ length: count }, (_, i) => host(i, i < over));
  const of = (...states) => hosts.filter((row) => states.includes(row.state)).length;
  const counts = {
    hosts_total: count, succeeded: of("SUCCEEDED"), failed: of("FAILED", "TIMED_OUT"), not_run: of("UNREACHABLE"),
    cancelled: 0, unknown: of("UNKNOWN"), unfinished: count - over,
  };
  const state = over < count ? "RUNNING" : counts.succeeded === count ? "SUCCEEDED" : "PARTIAL";
  const job = {
    job_id: JOB, command, target: "tag:web", created_at: "2026-11-23T03:12:45.000000Z", status: "running", state, ...counts,
    progress_percent: Math.floor((over * 100) / count), ...extra,
  };
  return ({ name, arguments: given }) => {
    if (name === "ssh_view_job") return text({ ...job, hosts });
    if (name === "ssh_job_output") return text(printed(hosts.find((row) => row.host === given.host), given));
    if (name === "ssh_get_task_output") {
      return text({ task_id: JOB, host: given.host, state: "RUNNING", output_lines: ["Starting…", "waiting for nginx"], has_more: false, bytes_total: 30 });
    }
    return { isError: true, ...text({ code: "NOT_FOUND", message: `there is no ${name}`, next_step: "look elsewhere" }) };
  };
}

/** The answer with which the tool began the job. */
export function started(count) {
  return text({
    task_id: JOB, status: "running", target: "tag:web", command: "systemctl status nginx --no-pager", hosts_total: count,
    replayed: false, next_step: "ssh_get_task_status",
  });
}

function host(i, over) {
  const host = `web-${String(i + 1).padStart(3, "0")}`;
  if (!over) return { host, state: "RUNNING", ran: "may_have_run", stdout_bytes_total: 0, stderr_bytes_total: 0 };
  if (i % 23 === 7) {
    return { host, state: "FAILED", ran: "ran", exit_code: 3, duration_ms: 412 + i, stdout_bytes_total: 0, stderr_bytes_total: 58, printed: "f".repeat(32) };
  }
  if (i % 71 === 9) {
    return { host, state: "UNREACHABLE", ran: "not_run", reason: "connect_failed", stdout_bytes_total: 0, stderr_bytes_total: 0, printed: "0".repeat(32) };
  }
  if (i === 42) {
    return { host, state: "UNKNOWN", ran: "may_have_run", reason: "agent_lost", duration_ms: 9000, stdout_bytes_total: 120, stderr_bytes_total: 0 };
  }
  return { host, state: "SUCCEEDED", ran: "ran", exit_code: 0, duration_ms: 118 + ((i * 37) % 900), stdout_bytes_total: 236, stderr_bytes_total: 0, printed: "a".repeat(32) };
}

function printed(row, given) {
  const out = row.state === "SUCCEEDED"
    ? "● nginx.service - A high performance web server and a reverse proxy server\n     Loaded: loaded (/lib/systemd/system/nginx.service; enabled)\n     Active: active (running) since Sun 2026-11-22 21:14:03 UTC; 6h ago\n   Main PID: 812 (nginx)\n      Tasks: 5 (limit: 9432)\n"
    : "";
  const err = row.state === "FAILED" ? "nginx.service: unit is in a failed state (Result: exit-code)\n" : "";
  const text = (given.stderr ? err : out).slice(0, given.max_bytes);
  return {
    job_id: JOB, host: row.host, state: row.state, stream: given.stderr ? "stderr" : "stdout", bytes_total: text.length,
    bytes_kept: text.length, offset: given.offset ?? 0, not_kept: 0, text, matches_left_out: 0,
  };
}
