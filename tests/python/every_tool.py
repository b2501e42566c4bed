"""Uses every tool of the bridge with the official client: every_tool.py MODE BRIDGE CONFIG."""

import asyncio
import sys

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters


def check(holds, what):
    if not holds:
        raise SystemExit(f"not so: {what}")


async def main(mode, bridge, config):
    server = StdioServerParameters(command=bridge, args=["--config", config])
    used = set()

    async with Client(server, mode=mode) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}

        async def call(name, error=False, **arguments):
            used.add(name)
            result = await client.call_tool(name, arguments)
            check(bool(result.is_error) == error, f"{name} {arguments}: {result}")
            check(result.structured_content is not None, f"{name} has structured content")
            return result.structured_content

        await call("ssh_ping")
        hosts = await call("ssh_list_hosts")
        check({"web-1", "web-2"} <= {h["alias"] for h in hosts["hosts"]}, hosts)
        check((await call("ssh_describe_host", alias="web-1"))["alias"] == "web-1", "describe")
        await call("ssh_describe_host", error=True, alias="nowhere")
        plan = await call("ssh_plan", alias="web-1", command="echo hi")
        check("echo hi" in str(plan), plan)
        ran = await call("ssh_run", alias="web-1", command="echo hi")
        check((ran["stdout"], ran["state"], ran["ran"]) == ("hi\n", "SUCCEEDED", "ran"), ran)
        failed = await call("ssh_run", alias="web-1", command="sh -c 'echo no >&2; exit 3'")
        check((failed["state"], failed["exit_code"], failed["stderr"]) == ("FAILED", 3, "no\n"), failed)
        denied = await call("ssh_run", error=True, alias="web-1", command="reboot")
        check(denied["code"] == "POLICY_DENIED" and denied["next_step"], denied)
        refused = await call("ssh_run", error=True, alias="web-1", command="echo $(id)")
        check(refused["code"] == "COMMAND_REFUSED", refused)
        everywhere = await call("ssh_run_on_tag", tag="all", command="echo hi")
        check(sum(result["hosts_count"] for result in everywhere["results"]) == 2, everywhere)
        check(len(everywhere["results"]) == 1 and everywhere["results"][0]["hosts"] == ["web-[1-2]"], everywhere)
        page = await call("ssh_job_output", job_id=ran["job_id"], host="web-1")
        check((page["text"], page["bytes_total"]) == ("hi\n", 3), page)
        found = await call("ssh_job_output", job_id=ran["job_id"], host="web-1", grep="^h")
        check([(m["line"], m["text"]) for m in found["matches"]] == [(1, "hi")], found)
        await call("ssh_cancel", job_id=ran["job_id"])
        await call("ssh_cancel", error=True, job_id="job_00000000000000000000000000")

        progress = []

        async def seen(done, total, message):
            progress.append((done, total, message))

        await client.call_tool("ssh_run", {"alias": "web-1", "command": "sleep 1"}, progress_callback=seen)
        check(progress, "progress came")

        check(used == tools, f"unused tools: {tools - used}")
        print(f"{mode}: {len(used)} tools used")


asyncio.run(main(*sys.argv[1:]))
