//! Whose is what: another user's job, output and session do not exist.

use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use lictor_tests::mcp_http::{Answer, Era, HttpBridge, Sent};
use serde_json::{Value, json};

fn code(result: &Value) -> &str {
    result["code"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_users_job_output_session_and_page_do_not_exist() {
    let (_world, bridge) = HttpBridge::with_world(&["web1"]).await.unwrap();
    let (alice, bob) = (bridge.token("alice"), bridge.token("bob"));
    for era in Era::BOTH {
        let hers = Sent { session: bridge.session(era, Some(&alice)).await.unwrap(), ..Sent::by(&alice) };
        let his = Sent { session: bridge.session(era, Some(&bob)).await.unwrap(), ..Sent::by(&bob) };
        let ran = bridge
            .call(era, &hers, "ssh_run", json!({"alias": "web1", "argv": ["echo", "secret"]}))
            .await
            .unwrap();
        let job = ran["job_id"].as_str().unwrap();
        let output = json!({"job_id": job, "host": "web1"});
        let page = bridge.call(era, &hers, "ssh_job_output", output.clone()).await.unwrap();
        assert_eq!(page["text"], "secret\n");
        for (tool, arguments) in [("ssh_job_output", output), ("ssh_cancel", json!({"job_id": job}))] {
            let result = bridge.call(era, &his, tool, arguments).await.unwrap();
            assert_eq!(code(&result), "NOT_FOUND", "{era:?} {tool}: {result}");
            assert!(!result.to_string().contains("secret"));
        }
        // The same key and request of another user is another job.
        let keyed = json!({"alias": "web1", "argv": ["true"], "idempotency_key": "same"});
        let first = bridge.call(era, &hers, "ssh_run", keyed.clone()).await.unwrap();
        let second = bridge.call(era, &his, "ssh_run", keyed).await.unwrap();
        assert_ne!(first["job_id"], second["job_id"]);
    }

    let session = bridge.session(Era::Sessions, Some(&alice)).await.unwrap();
    let stolen = Sent { session: session.clone(), ..Sent::by(&bob) };
    let list = || json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    for (method, body) in
        [(Method::POST, list()), (Method::GET, String::new()), (Method::DELETE, String::new())]
    {
        let request = bridge.request(method.clone(), Era::Sessions, &stolen, body).unwrap();
        let answer = bridge.send(request).await.unwrap();
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method}: {answer:?}");
    }
    // Without sessions the name of one means nothing, whoever's it is.
    for name in [session.clone(), Some("nobodys".to_owned()), None] {
        let sent = Sent { session: name, ..Sent::by(&bob) };
        let request = bridge.method(Era::Stateless, &sent, "tools/list", json!({})).unwrap();
        let answer = bridge.send(request).await.unwrap();
        assert!(answer.message().unwrap()["result"]["tools"].is_array(), "{sent:?}: {answer:?}");
        assert_eq!(answer.header("mcp-session-id"), "", "none is given either");
        for method in [Method::GET, Method::DELETE] {
            let answer =
                bridge.send(bridge.request(method, Era::Stateless, &sent, "").unwrap()).await.unwrap();
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{sent:?}: {answer:?}");
        }
    }
    let hers = Sent { session, ..Sent::by(&alice) };
    let answer = bridge.send(bridge.post(Era::Sessions, &hers, list()).unwrap()).await.unwrap();
    assert!(answer.message().unwrap()["result"]["tools"].is_array(), "hers lives on: {answer:?}");
    let ended = bridge.request(Method::DELETE, Era::Sessions, &hers, "").unwrap();
    assert_eq!(bridge.send(ended).await.unwrap().status, StatusCode::ACCEPTED);
    let answer = bridge.send(bridge.post(Era::Sessions, &hers, list()).unwrap()).await.unwrap();
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

/// The fields of arguments by which a tool is given something that an answer named before.
const NAMES_OF_REFERENCES: &[&str] = &["job_id", "task_id", "page", "before"];

/// What one user was told and another has found out.
struct Known {
    /// A job.
    job: String,
    /// Where the list of jobs goes on.
    page: String,
    /// Where the search of records goes on.
    before: u64,
}

impl Known {
    /// The same for what there is not.
    fn absent(&self) -> Self {
        let other = |text: &str| {
            let (rest, last) = text.split_at(text.len() - 1);
            format!("{rest}{}", if last == "0" { "1" } else { "0" })
        };
        Self { job: other(&self.job), page: other(&self.page), before: self.before + 1 }
    }

    /// Every tool that takes such a reference, with arguments that are otherwise good.
    fn calls(&self) -> Vec<(&'static str, Value)> {
        let Self { job, page, before } = self;
        vec![
            ("ssh_get_task_status", json!({"task_id": job})),
            ("ssh_get_task_status", json!({"task_id": job, "wait_seconds": 60})),
            ("ssh_get_task_result", json!({"task_id": job})),
            ("ssh_get_task_output", json!({"task_id": job, "host": "web1"})),
            ("ssh_cancel_async_task", json!({"task_id": job})),
            ("ssh_job_output", json!({"job_id": job, "host": "web1"})),
            ("ssh_job_output", json!({"job_id": job, "host": "web1", "grep": "secret"})),
            ("ssh_cancel", json!({"job_id": job})),
            ("ssh_cancel", json!({"task_id": job})),
            ("ssh_view_job", json!({"job_id": job})),
            ("ssh_view_job", json!({"job_id": job, "page": "web1"})),
            ("ssh_list_jobs", json!({"page": page})),
            // The place of a job in the list is no way into it either.
            ("ssh_list_jobs", json!({"page": job})),
            ("ssh_list_jobs", json!({"text": job})),
            ("ssh_search_audit", json!({"before": before})),
            ("ssh_search_audit", json!({"query": format!("job:{job}")})),
        ]
    }

    /// Every other request that names a job, in an era.
    fn requests(&self, era: Era) -> Vec<(&'static str, Value)> {
        let job = &self.job;
        let mut all = vec![
            ("resources/read", json!({"uri": format!("job://{job}")})),
            ("resources/read", json!({"uri": format!("job://{job}/output")})),
            (
                "completion/complete",
                json!({"ref": {"type": "ref/resource", "uri": "job://{id}"}, "argument": {"name": "id", "value": job}}),
            ),
        ];
        if era == Era::Sessions {
            all.push(("resources/subscribe", json!({"uri": format!("job://{job}")})));
            all.push(("resources/unsubscribe", json!({"uri": format!("job://{job}")})));
        } else {
            let task = format!("ssh_run:{job}");
            let meta = json!({"io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}});
            all.push(("tasks/get", json!({"taskId": task, "_meta": meta})));
            all.push(("tasks/cancel", json!({"taskId": task, "_meta": meta})));
            all.push(("tasks/update", json!({"taskId": task, "inputResponses": {}, "_meta": meta})));
        }
        all
    }

    /// What was answered, with this one's names replaced by others.
    fn anonymous(&self, answer: &Answer) -> (StatusCode, String) {
        let message = answer.message().unwrap();
        let text = json!([message["result"], message["error"]]).to_string();
        (answer.status, text.replace(&self.job, "JOB").replace(&self.page, "PAGE"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_user_was_told_is_answered_exactly_like_what_there_is_not() {
    let (_world, bridge) = HttpBridge::with_world(&["web1"]).await.unwrap();
    let (ada, bob) = (bridge.token("ada"), bridge.token("bob"));
    for era in Era::BOTH {
        let hers = Sent { session: bridge.session(era, Some(&ada)).await.unwrap(), ..Sent::by(&ada) };
        let his = Sent { session: bridge.session(era, Some(&bob)).await.unwrap(), ..Sent::by(&bob) };
        for n in 0..2 {
            let arguments = json!({"alias": "web1", "argv": ["echo", format!("secret-{n}")]});
            bridge.call(era, &hers, "ssh_run", arguments).await.unwrap();
        }
        let arguments = json!({"alias": "web1", "argv": ["sleep", "300"]});
        let running = bridge.call(era, &hers, "ssh_run_async", arguments).await.unwrap();
        let page = bridge.call(era, &hers, "ssh_list_jobs", json!({"max_jobs": 1})).await.unwrap();
        let records = bridge.call(era, &hers, "ssh_search_audit", json!({"max_records": 1})).await.unwrap();
        let known = Known {
            job: running["task_id"].as_str().unwrap().to_owned(),
            page: page["next_page"].as_str().unwrap().to_owned(),
            before: records["next"].as_u64().unwrap(),
        };
        let absent = known.absent();

        let listed = bridge.send(bridge.method(era, &hers, "tools/list", json!({})).unwrap()).await.unwrap();
        let listed = listed.message().unwrap();
        for tool in listed["result"]["tools"].as_array().unwrap() {
            let fields = tool["inputSchema"]["properties"].as_object().unwrap();
            for field in NAMES_OF_REFERENCES.iter().filter(|name| fields.contains_key(**name)) {
                let tried =
                    known.calls().iter().any(|(name, a)| tool["name"] == *name && !a[*field].is_null());
                assert!(tried, "{} is not tried with another user's {field}", tool["name"]);
            }
        }
        for ((tool, hers), (_, none)) in known.calls().into_iter().zip(absent.calls()) {
            let told = bridge.try_call(era, &his, tool, hers.clone()).await.unwrap();
            let unknown = bridge.try_call(era, &his, tool, none).await.unwrap();
            assert_eq!(known.anonymous(&told), absent.anonymous(&unknown), "{era:?} {tool} {hers}");
            assert!(!told.text.contains("secret") && !told.text.contains("sleep"), "{era:?} {tool} {hers}");
        }
        for ((method, hers), (_, none)) in known.requests(era).into_iter().zip(absent.requests(era)) {
            let told = bridge.send(bridge.method(era, &his, method, hers.clone()).unwrap()).await.unwrap();
            let unknown = bridge.send(bridge.method(era, &his, method, none).unwrap()).await.unwrap();
            assert_eq!(known.anonymous(&told), absent.anonymous(&unknown), "{era:?} {method} {hers}");
        }
        let still =
            bridge.call(era, &hers, "ssh_get_task_status", json!({"task_id": known.job})).await.unwrap();
        assert_eq!(still["unfinished"], 1, "nothing of it stopped hers: {still}");
        let ended = bridge.call(era, &hers, "ssh_cancel", json!({"job_id": known.job})).await.unwrap();
        assert_eq!(ended["job_id"], known.job.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_from_the_list_of_jobs_or_from_listening_that_others_have_jobs() {
    let (_world, bridge) = HttpBridge::with_world(&["web1"]).await.unwrap();
    let (ada, bob) = (Sent::by(&bridge.token("ada")), Sent::by(&bridge.token("bob")));
    let era = Era::Stateless;
    let start = async |who: &Sent| {
        let arguments = json!({"alias": "web1", "argv": ["sleep", "300"]});
        let started = bridge.call(era, who, "ssh_run_async", arguments).await.unwrap();
        started["task_id"].as_str().unwrap().to_owned()
    };
    let mut hers = vec![start(&ada).await];
    let nothing = json!({"jobs": []});
    let first = bridge.call(era, &bob, "ssh_list_jobs", json!({"max_jobs": 1})).await.unwrap();
    assert_eq!(first, nothing, "the jobs of others lead nowhere");
    let mut his = vec![start(&bob).await];
    hers.push(start(&ada).await);
    hers.push(start(&ada).await);
    his.push(start(&bob).await);
    hers.push(start(&ada).await);

    let (mut seen, mut arguments) = (Vec::new(), json!({"max_jobs": 1}));
    loop {
        let page = bridge.call(era, &bob, "ssh_list_jobs", arguments.clone()).await.unwrap();
        let text = page.to_string();
        assert!(hers.iter().all(|job| !text.contains(job)), "{text}");
        assert_eq!(page["jobs"].as_array().unwrap().len(), 1, "a page for every job of his: {text}");
        seen.push(page["jobs"][0]["job_id"].as_str().unwrap().to_owned());
        let Some(next) = page["next_page"].as_str() else { break };
        assert!(!next.contains("job_"), "{next}");
        arguments["page"] = next.into();
    }
    assert_eq!(seen, [his[1].as_str(), &his[0]]);

    let uris = [hers[0].as_str(), &his[0]].map(|job| format!("job://{job}"));
    let params = json!({"notifications": {"resourceSubscriptions": uris}});
    let request = bridge.method(era, &bob, "subscriptions/listen", params).unwrap();
    let mut stream = bridge.open(request).await.unwrap().into_body();
    let mut told = String::new();
    let more = async |stream: &mut hyper::body::Incoming, told: &mut String| {
        let frame = stream.frame().await.expect("it goes on").unwrap();
        told.push_str(&String::from_utf8_lossy(&frame.into_data().unwrap_or_default()));
    };
    while !told.contains("subscriptions/acknowledged") {
        more(&mut stream, &mut told).await;
    }
    bridge.call(era, &ada, "ssh_cancel", json!({"job_id": hers[0]})).await.unwrap();
    let ended = async |who: &Sent, job: &str| {
        let arguments = json!({"task_id": job, "wait_seconds": 60});
        bridge.call(era, who, "ssh_get_task_status", arguments).await.unwrap()["status"] == "cancelled"
    };
    assert!(ended(&ada, &hers[0]).await);
    bridge.call(era, &bob, "ssh_cancel", json!({"job_id": his[0]})).await.unwrap();
    let updates = |told: &str| told.matches("notifications/resources/updated").count();
    while updates(&told) == 0 {
        more(&mut stream, &mut told).await;
    }
    let (_, after) = told.split_once("subscriptions/acknowledged").unwrap();
    let after = after.split_once("\n\n").map_or("", |(_, rest)| rest);
    assert!(after.contains(&his[0]) && !after.contains(&hers[0]), "{told}");
    for (who, job) in [(&ada, &hers[1]), (&ada, &hers[2]), (&ada, &hers[3]), (&bob, &his[1])] {
        bridge.call(era, who, "ssh_cancel", json!({"job_id": job})).await.unwrap();
    }
}
