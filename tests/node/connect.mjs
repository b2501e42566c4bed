// The official TypeScript client, connected to a bridge: over stdio (`stdio PROGRAM CONFIG`) or over HTTP (`http URL TOKEN`).

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

/** Who asks, as the bridge is told. */
export const CLIENT = { name: "lictor-tests", version: "1" };
/** The revision without sessions. */
export const MODERN = "2026-07-28";

/** Ends the script with what does not hold. */
export function check(holds, what) {
  if (!holds) throw new Error(`not so: ${typeof what === "string" ? what : JSON.stringify(what)}`);
}

function transport([kind, ...where]) {
  if (kind === "stdio") {
    const [command, config] = where;
    return new StdioClientTransport({ command, args: ["--config", config], stderr: "ignore" });
  }
  const [url, token] = where;
  return new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { authorization: `Bearer ${token}` } } });
}

/** Connects in a mode: legacy, auto, or a revision to insist on. */
export async function connect(mode, where, extensions = {}) {
  const negotiated = mode === "legacy" || mode === "auto" ? mode : { pin: mode };
  const client = new Client(CLIENT, { capabilities: { extensions }, versionNegotiation: { mode: negotiated } });
  await client.connect(transport(where));
  check(client.getProtocolEra() === (mode === "legacy" ? "legacy" : "modern"), `${mode} is ${client.getProtocolEra()}`);
  return client;
}
