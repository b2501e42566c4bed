// What the view knows, and the bounds it keeps.

// The protocol of MCP Apps that this page speaks.
const PROTOCOL = "2026-01-26";
// How long an answer is waited for: the longest tool that is called listens for three seconds.
const ANSWER_MS = 30000;
// Pause between two looks at a running job: short after a change, twice as long after each look without one.
const FIRST_PAUSE_MS = 1000, LONGEST_PAUSE_MS = 8000;
// One more second between looks for so many hosts.
const HOSTS_PER_SECOND = 500;
// After so many looks, and after so many failures in a row, nobody seems to be there: it goes on when somebody asks.
const MAX_LOOKS = 2000, MAX_FAILURES = 5;
// Hosts that are shown; more help no reader, and make a page slow.
const MAX_HOSTS = 2000;
// Bytes of output asked for at once, lines of a running command, and characters of one stream that are shown.
const PAGE_BYTES = 16384, TAIL_LINES = 200, MAX_SHOWN = 400000;
// Groups of which the beginning of the output is shown, and bytes of it; hosts that a group names.
const PREVIEWS = 8, PREVIEW_BYTES = 512, NAMES = 8;
// Longest of any other text.
const MAX_TEXT = 4096;
// Least time between two announcements to who listens instead of reading.
const SAY_MS = 10000;

const JOB = /^job_[0-9A-Za-z]{26}$/;
// Characters that move the cursor or hide text. The server shows them escaped; what comes another way is escaped here.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}\u{fe00}-\u{fe0e}\u{e0100}-\u{e01ef}]/gu;

const KINDS = [
  { name: "ok", count: "succeeded", glyph: "✓", label: "Succeeded" },
  { name: "failed", count: "failed", glyph: "✕", label: "Failed" },
  { name: "skipped", count: "not_run", glyph: "–", label: "Did not run" },
  { name: "stopped", count: "cancelled", glyph: "■", label: "Stopped" },
  { name: "unknown", count: "unknown", glyph: "?", label: "Unknown" },
  { name: "open", count: "unfinished", glyph: "●", label: "Not ended" },
];
const KIND_OF = {
  SUCCEEDED: "ok", FAILED: "failed", TIMED_OUT: "failed", DENIED: "skipped", EXPIRED: "skipped", SKIPPED: "skipped",
  UNREACHABLE: "skipped", CANCELLED: "stopped", KILLED: "stopped", UNKNOWN: "unknown",
  PARTIAL: "failed", HALTED: "failed",
};
const ENDED = ["SUCCEEDED", "PARTIAL", "FAILED", "CANCELLED", "UNKNOWN", "HALTED"];

const by = (id) => document.getElementById(id);
const collator = new Intl.Collator("en", { numeric: true });
const state = {
  context: {}, can: {}, input: null, answer: null, job: null, hosts: new Map(), left: 0, seenOpen: false,
  tab: null, kind: null, find: "", chosen: null, stream: "stdout", output: null, previews: new Map(),
  looking: false, looks: 0, failures: 0, pause: FIRST_PAUSE_MS, timer: 0, stalled: false, gone: false, onScreen: true,
  told: false, said: 0,
};
