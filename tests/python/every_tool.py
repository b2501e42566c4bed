"""Uses every tool of the bridge with the official client, and a task beside it, which that client does not know:
every_tool.py MODE FILES stdio BRIDGE CONFIG, or every_tool.py MODE FILES http URL TOKEN. In the directory FILES, policy permits files.
Every tool has to succeed at least once."""

import asyncio
import base64
import contextlib
import json
import sys
import time

import httpx2
import jsonschema
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ResourceTemplateReference

MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"
# A machine that does much else takes its time to answer.
ANSWER_SECONDS = 120
SKILL = "skill://operate-hosts/SKILL.md"


def check(holds, what):
    if not holds:
        raise SystemExit(f"not so: {what}")


@contextlib.asynccontextmanager
async def transport(kind, where, credential):
    """What the official client connects to."""
    if kind == "stdio":
        yield StdioServerParameters(command=where, args=["--config", credential])
        return
    headers = {"authorization": f"Bearer {credential}"}
    async with httpx2.AsyncClient(headers=headers, timeout=ANSWER_SECONDS) as http:
        yield streamable_http_client(where, http_client=http)


@contextlib.asynccontextmanager
async def raw(kind, where, credential):
    """Requests as they are written, of a client that declares tasks."""
    numbers = iter(range(1, 1_000_000))

    def request(method, params):
        capabilities = {"extensions": {META + "tasks": {}}}
        meta = {META + "protocolVersion": MODERN, META + "clientCapabilities": capabilities}
        params = {**params, "_meta": {**meta, META + "clientInfo": {"name": "lictor-tests", "version": "1"}}}
        return {"jsonrpc": "2.0", "id": next(numbers), "method": method, "params": params}

    if kind == "stdio":
        pipe = asyncio.subprocess.PIPE
        bridge = await asyncio.create_subprocess_exec(where, "--config", credential, stdin=pipe, stdout=pipe)

        async def ask(method, params):
            sent = request(method, params)
            bridge.stdin.write(json.dumps(sent).encode() + b"\n")
            await bridge.stdin.drain()
            while True:
                line = json.loads(await asyncio.wait_for(bridge.stdout.readline(), ANSWER_SECONDS))
                if line.get("id") == sent["id"]:
                    return line["result"]

        yield ask
        bridge.stdin.close()
        await bridge.wait()
        return
    async with httpx2.AsyncClient(timeout=ANSWER_SECONDS) as http:

        async def ask(method, params):
            headers = {
                "authorization": f"Bearer {credential}",
                "accept": "application/json, text/event-stream",
                "mcp-protocol-version": MODERN,
                "mcp-method": method,
                "mcp-name": params.get("name") or params["taskId"],
            }
            answer = await http.post(where, json=request(method, params), headers=headers)
            text = answer.text
            lines = [line[5:] for line in text.splitlines() if line.startswith("data:") and "jsonrpc" in line]
            return json.loads(lines[-1] if lines else text)["result"]

        yield ask


async def task(kind, where, credential):
    async with raw(kind, where, credential) as ask:
        arguments = {"alias": "web-1", "command": "echo task"}
        begun = await ask("tools/call", {"name": "ssh_run", "arguments": arguments})
        check(begun["resultType"] == "task" and begun["taskId"], begun)
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            seen = await ask("tasks/get", {"taskId": begun["taskId"]})
            if seen["status"] != "working":
                break
            await asyncio.sleep(begun["pollIntervalMs"] / 1000)
        check(seen["status"] == "completed", seen)
        check(seen["result"]["structuredContent"]["stdout"] == "task\n", seen)


async def main(mode, files, kind, where, credential):
    used = set()

    async with transport(kind, where, credential) as server, Client(server, mode=mode) as client:
        listed = (await client.list_tools()).tools
        schemas = {tool.name: tool.output_schema for tool in listed}
        for tool in listed:
            jsonschema.Draft202012Validator.check_schema(tool.input_schema)
            jsonschema.Draft202012Validator.check_schema(tool.output_schema)
        tools = set(schemas)

        async def call(name, error=False, **arguments):
            result = await client.call_tool(name, arguments)
            check(bool(result.is_error) == error, f"{name} {arguments}: {result}")
            if not error:
                used.add(name)
            check(result.structured_content is not None, f"{name} has structured content")
            jsonschema.validate(result.structured_content, schemas[name], jsonschema.Draft202012Validator)
            check(json.loads(result.content[0].text) == result.structured_content, f"{name} says it once")
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
        denied = await call("ssh_upload", error=True, alias="web-1", path="/srv/x", text="x")
        check(denied["code"] == "POLICY_DENIED" and denied["next_step"], denied)
        denied = await call("ssh_download", error=True, alias="web-1", path="/srv/x")
        check(denied["code"] == "POLICY_DENIED", denied)
        path, content = f"{files}/{mode}-{kind}.bin", base64.b64encode(bytes(range(256))).decode()
        put = await call("ssh_upload", alias="web-1", path=path, base64=content)
        check((put["state"], put["bytes"]) == ("SUCCEEDED", 256), put)
        got = await call("ssh_download", alias="web-2", path=path)
        check((got["base64"], got["sha256"]) == (content, put["sha256"]), got)
        await call("ssh_upload", alias="web-1", path=path, text="listen 80\n")
        got = await call("ssh_download", alias="web-1", path=path)
        check(got["text"] == "listen 80\n", got)
        own = await call("ssh_search_audit", query=f"job:{ran['job_id']} kind:invocation_ended")
        check([record["outcome"] for record in own["records"]] == ["SUCCEEDED"], own)
        page = await call("ssh_job_output", job_id=ran["job_id"], host="web-1")
        check((page["text"], page["bytes_total"]) == ("hi\n", 3), page)
        found = await call("ssh_job_output", job_id=ran["job_id"], host="web-1", grep="^h")
        check([(m["line"], m["text"]) for m in found["matches"]] == [(1, "hi")], found)
        await call("ssh_cancel", job_id=ran["job_id"])
        await call("ssh_cancel", error=True, job_id="job_00000000000000000000000000")

        matched = await call("ssh_list_hosts", match="tag:all and not host:web-2")
        check([h["alias"] for h in matched["hosts"]] == ["web-1"], matched)
        why = await call("ssh_explain_denial", alias="web-1", command="rm -rf /srv")
        check((why["effect"], why["rule"]) == ("DENY", "never"), why)
        await call("ssh_explain_denial", error=True, alias="nowhere", command="echo hi")
        started = await call("ssh_run_async", match="tag:all", argv=["echo", "later"], rollout={"waves": ["1"]})
        started_id = started["task_id"]
        status = await call("ssh_get_task_status", task_id=started_id, wait_seconds=30)
        check((status["status"], status["succeeded"], status["progress_percent"]) == ("completed", 2, 100), status)
        result = await call("ssh_get_task_result", task_id=started_id)
        check((result["state"], result["results"][0]["stdout"]) == ("SUCCEEDED", "later\n"), result)
        await call("ssh_get_task_output", error=True, task_id=started_id)
        lines = await call("ssh_get_task_output", task_id=started_id, host="web-2", max_lines=5)
        check((lines["output_lines"], lines["has_more"]) == (["later"], False), lines)

        slow = await call("ssh_run_async", alias="web-1", command="sh -c 'echo begun.; sleep 55'")
        deadline = time.monotonic() + 50
        while time.monotonic() < deadline:
            lines = await call("ssh_get_task_output", task_id=slow["task_id"])
            if lines["output_lines"]:
                break
            await asyncio.sleep(0.1)
        check(lines["output_lines"] == ["begun."], f"what a running job printed so far: {lines}")
        await call("ssh_get_task_result", error=True, task_id=slow["task_id"])

        async def stop():
            stopped = await call("ssh_cancel_async_task", task_id=slow["task_id"])
            check(stopped["cancelled"], stopped)

        if mode == "legacy":
            await stop()
        else:
            uri = f"job://{slow['task_id']}"
            async with client.listen(resource_subscriptions=[uri, "ssh://hosts"]) as notes:
                await stop()
                async for note in notes:
                    check(uri in str(note), f"only what was subscribed to is told: {note}")
                    break
        status = await call("ssh_get_task_status", task_id=slow["task_id"], wait_seconds=60)
        check(status["status"] == "cancelled", status)

        jobs = await call("ssh_list_jobs", text="later")
        check(started_id in [job["job_id"] for job in jobs["jobs"]], jobs)
        check((await call("ssh_reload_config"))["status"] == "current", "reload changes nothing")

        resources = {str(resource.uri) for resource in (await client.list_resources()).resources}
        check(resources == {"ssh://hosts", "ssh://tags", "ssh://capabilities", SKILL}, resources)
        skill = (await client.read_resource(SKILL)).contents[0]
        check(skill.mime_type == "text/markdown" and "ssh_explain_denial" in skill.text, skill)
        templates = {t.uri_template for t in (await client.list_resource_templates()).resource_templates}
        check(templates == {"ssh://host/{alias}", "job://{id}", "job://{id}/output"}, templates)
        for uri in [*(resources - {SKILL}), "ssh://host/web-1", f"job://{started_id}", f"job://{started_id}/output"]:
            read = await client.read_resource(uri)
            check(json.loads(read.contents[0].text), uri)
        for uri in ["ssh://host/nowhere", "job://job_00000000000000000000000000", "file:///etc/passwd"]:
            try:
                await client.read_resource(uri)
            except Exception as error:
                check("there is no such resource" in str(error), error)
            else:
                check(False, f"{uri} cannot be read")

        arguments = {
            "plan_change": {"goal": "upgrade", "tag": "all"},
            "read_denial": {"host": "web-1", "command": "reboot"},
            "ask_for_approval": {"command": "reboot", "hosts": "web-1", "reason": "kernel"},
        }
        check({prompt.name for prompt in (await client.list_prompts()).prompts} == set(arguments), "prompts")
        for name, given in arguments.items():
            got = await client.get_prompt(name, given)
            check(all(value in got.messages[0].content.text for value in given.values()), name)
        reference = ResourceTemplateReference(type="ref/resource", uri="ssh://host/{alias}")
        found = await client.complete(reference, {"name": "alias", "value": "we"})
        check(found.completion.values == ["web-1", "web-2"], found)

        progress = []

        async def seen(done, total, message):
            progress.append((done, total, message))

        await client.call_tool("ssh_run", {"alias": "web-1", "command": "sleep 1"}, progress_callback=seen)
        check(progress, "progress came")

        check(used == tools, f"never a success: {tools - used}")
        count = len(used)

    if mode == MODERN:
        await task(kind, where, credential)
    print(f"{mode} {kind}: {count} tools used")


asyncio.run(main(*sys.argv[1:]))
