"""Uses every tool of the bridge with the official client: every_tool.py MODE BRIDGE CONFIG."""

import asyncio
import json
import sys
import time

import jsonschema
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp_types import ResourceTemplateReference


def check(holds, what):
    if not holds:
        raise SystemExit(f"not so: {what}")


async def main(mode, bridge, config):
    server = StdioServerParameters(command=bridge, args=["--config", config])
    used = set()

    async with Client(server, mode=mode) as client:
        listed = (await client.list_tools()).tools
        schemas = {tool.name: tool.output_schema for tool in listed}
        for tool in listed:
            jsonschema.Draft202012Validator.check_schema(tool.input_schema)
            jsonschema.Draft202012Validator.check_schema(tool.output_schema)
        tools = set(schemas)

        async def call(name, error=False, **arguments):
            used.add(name)
            result = await client.call_tool(name, arguments)
            check(bool(result.is_error) == error, f"{name} {arguments}: {result}")
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
        put = await call("ssh_upload", error=True, alias="web-1", path="/srv/x", text="x")
        check(put["code"] == "POLICY_DENIED" and put["next_step"], put)
        got = await call("ssh_download", error=True, alias="web-1", path="/srv/x")
        check(got["code"] == "POLICY_DENIED", got)
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
        task = started["task_id"]
        status = await call("ssh_get_task_status", task_id=task, wait_seconds=30)
        check((status["status"], status["succeeded"], status["progress_percent"]) == ("completed", 2, 100), status)
        result = await call("ssh_get_task_result", task_id=task)
        check((result["state"], result["results"][0]["stdout"]) == ("SUCCEEDED", "later\n"), result)
        await call("ssh_get_task_output", error=True, task_id=task)
        lines = await call("ssh_get_task_output", task_id=task, host="web-2", max_lines=5)
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
        check(task in [job["job_id"] for job in jobs["jobs"]], jobs)
        check((await call("ssh_reload_config"))["status"] == "current", "reload changes nothing")

        resources = {str(resource.uri) for resource in (await client.list_resources()).resources}
        check(resources == {"ssh://hosts", "ssh://tags", "ssh://capabilities"}, resources)
        templates = {t.uri_template for t in (await client.list_resource_templates()).resource_templates}
        check(templates == {"ssh://host/{alias}", "job://{id}", "job://{id}/output"}, templates)
        for uri in [*resources, "ssh://host/web-1", f"job://{task}", f"job://{task}/output"]:
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

        check(used == tools, f"unused tools: {tools - used}")
        print(f"{mode}: {len(used)} tools used")


asyncio.run(main(*sys.argv[1:]))
