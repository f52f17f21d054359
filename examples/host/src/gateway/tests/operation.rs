//! Operating the gateway: health, switch, page, metrics, settings, restart and shutdown.

use super::*;

#[tokio::test]
async fn one_dead_dependency_of_several_degrades() {
    let server = upstream::Upstream::start(1).await.unwrap();
    // We hold the port and do not listen, so nobody answers there.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let nobody = nobody.local_addr().unwrap();
    let backends =
        Backends { database: Some(format!("postgres://p@{nobody}/d")), redis: Some(format!("redis://{nobody}")) };
    let gateway = Running::start(Plan { backends, ..plan(server.uri()) }).await;
    until(async || {
        let (status, _, body) = gateway.get("/time").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (status, &body["time"], &body["served_by"]),
            (StatusCode::OK, &"unknown".into(), &"degraded".into())
        );
        body["because"].as_str().unwrap().contains("open circuit breaker")
    })
    .await;
    let (status, _, body) = gateway.get("/health").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["status"]), (StatusCode::OK, &"degraded".into()));
    let names: Vec<&str> =
        body["breakers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["upstream", "database", "cache"]);
    let alone = Running::start(plan(server.uri())).await;
    assert_eq!(alone.status("/time").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_switch_is_thrown_by_hand() {
    let server = upstream::Upstream::start(1).await.unwrap();
    let gateway = Running::start(plan(server.uri())).await;
    for (mode, state, shadow, answers) in [
        ("open", "forced_open", false, StatusCode::SERVICE_UNAVAILABLE),
        ("off", "disabled", false, StatusCode::OK),
        ("shadow", "closed", true, StatusCode::OK),
        ("on", "closed", false, StatusCode::OK),
    ] {
        assert_eq!(gateway.put(&format!("/breakers/upstream/{mode}")).await, StatusCode::NO_CONTENT);
        let now = gateway.upstream().await;
        assert_eq!((&now["state"], &now["shadow"]), (&state.into(), &shadow.into()), "{mode}");
        let (status, headers, _) = gateway.get("/upstream/x").await;
        assert_eq!(status, answers, "{mode}");
        // Time does not end what was switched by hand, so there is no Retry-After.
        assert!(!headers.contains_key(RETRY_AFTER), "{mode}");
    }
    assert_eq!(gateway.put("/breakers/upstream/half").await, StatusCode::BAD_REQUEST);
    assert_eq!(gateway.put("/breakers/database/on").await, StatusCode::NOT_FOUND);
    assert_eq!(gateway.status("/breakers/upstream/on").await, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn the_page_is_told_all_that_it_shows() {
    let directory = tempfile::tempdir().unwrap();
    let server = upstream::Upstream::start(1).await.unwrap();
    let gateway = Running::touchy(&server, directory.path()).await;
    let (status, headers, page) = gateway.get("/").await;
    assert_eq!((status, headers[CONTENT_TYPE].to_str().unwrap()), (StatusCode::OK, "text/html; charset=utf-8"));
    let response = gateway.ask(Method::GET, "/events").await;
    assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
    let mut frames = BodyStream::new(response.into_body());
    let mut frame = async || {
        let data = in_time(frames.next()).await.unwrap().unwrap().into_data().unwrap();
        let text = std::str::from_utf8(&data).unwrap().strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap();
        serde_json::from_str::<Value>(text).unwrap()
    };
    // The first frame comes at once, not after half a second.
    let first = frame().await;
    assert_eq!(first["health"]["breakers"][0]["state"], "closed");
    server.set(Mood::Fails).await.unwrap();
    gateway.status("/upstream/x").await;
    let last = in_time(async {
        loop {
            let last = frame().await;
            if last["moves"].as_array().is_some_and(|moves| !moves.is_empty()) {
                return last;
            }
        }
    })
    .await;
    let moved = &last["moves"][0];
    for (field, is) in [("name", "upstream"), ("from", "closed"), ("to", "open"), ("reason", "failures")] {
        assert_eq!(moved[field], is);
    }
    assert_eq!((&moved["failed"], &moved["total"]), (&1.into(), &1.into()));
    assert!(moved["at_ms"].as_u64().unwrap() <= last["now_ms"].as_u64().unwrap());

    // Every field that the page's script reads is in the frame.
    let used = |object: &str| {
        let found = page.split(object).skip(1);
        let names: Vec<String> = found
            .map(|after| after.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect())
            .collect();
        assert!(!names.is_empty(), "{object}");
        names
    };
    for (object, of) in [
        ("one.", &last["health"]["breakers"][0]),
        ("one.window.", &last["health"]["breakers"][0]["window"]),
        ("seen.", &last["rates"][0]),
        ("move.", moved),
    ] {
        for name in used(object) {
            assert!(of.get(&name).is_some(), "{object}{name} of {last}");
        }
    }
    let taken = page.split_once("function show({").unwrap().1.split_once("})").unwrap().0;
    for name in taken.split(',') {
        assert!(last.get(name.trim()).is_some(), "{name} of {last}");
    }
}

#[tokio::test]
async fn metrics_are_those_that_operators_were_given() {
    let server = upstream::Upstream::start(1).await.unwrap();
    let gateway = Running::start(plan(server.uri())).await;
    assert_eq!(gateway.status("/upstream/x").await, StatusCode::OK);
    until(async || gateway.ended("success").await == 1).await;
    let (status, headers, page) = gateway.get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert!(headers[CONTENT_TYPE].to_str().unwrap().starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(page.ends_with("# EOF\n"), "{page}");
    let mut names = Vec::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap();
        assert!(
            value.parse::<f64>().is_ok() && labels.contains("name=\"upstream\"") && labels.ends_with('}'),
            "{line}"
        );
        names.push(name);
    }
    // This metric is about registries, and the gateway has none.
    names.push("circuit_breaker_members");
    for given in [include_str!("../../../ops/dashboard.json"), include_str!("../../../ops/alerts.yml")] {
        let mut used = given.split("circuit_breaker_").skip(1).map(|after| {
            let end = after.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_').unwrap();
            format!("circuit_breaker_{}", &after[..end])
        });
        assert!(used.clone().count() > 3);
        assert_eq!(used.find(|used| !names.contains(&&**used)), None);
    }
}

#[tokio::test]
async fn settings_are_taken_over_live_and_others_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let server = upstream::Upstream::start(1).await.unwrap();
    server.set(Mood::Fails).await.unwrap();
    let file = settings_in(directory.path(), "minimum = 100\n");
    let gateway = Running::start(Plan { settings: Some(file.clone()), ..plan(server.uri()) }).await;
    for _ in 0..3 {
        assert_eq!(gateway.status("/upstream/x").await, StatusCode::INTERNAL_SERVER_ERROR);
    }
    assert_eq!(gateway.state().await, "closed");
    // The mode is applied last. When it is seen, all settings have been applied.
    settings_in(directory.path(), &format!("{TOUCHY}mode = \"shadow\"\n"));
    until(async || gateway.upstream().await["shadow"] == true).await;
    assert_eq!(gateway.status("/upstream/x").await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(gateway.state().await, "open");
    // Wrong settings at the start are an error that says where the mistake is.
    for (wrong, says) in [("probes = 16", "probes"), ("open_fro = \"1s\"", "open_fro"), ("[mail]", "\"mail\"")] {
        let settings = Some(settings_in(directory.path(), wrong));
        let error = Gateway::bind(Plan { settings, ..plan(server.uri()) }).await.err().unwrap().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let server = upstream::Upstream::start(1).await.unwrap();
    let touchy = || Plan {
        settings: Some(settings_in(directory.path(), TOUCHY)),
        state: Some(directory.path().join("state")),
        ..plan(server.uri())
    };
    let gateway = Running::start(touchy()).await;
    server.set(Mood::Fails).await.unwrap();
    gateway.status("/upstream/x").await;
    let readings = gateway.stop().await;
    assert_eq!((readings[0].failure, readings[0].states), (1, States::One(State::Open)));

    let gateway = Running::start(touchy()).await;
    assert_eq!(gateway.state().await, "open");
    let (status, headers, _) = gateway.get("/upstream/x").await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && headers.contains_key(RETRY_AFTER));
    // A gateway that crashes keeps no state, and the one before it does not come back.
    let after_a_crash = Running::start(touchy()).await;
    assert_eq!(after_a_crash.state().await, "closed");
    gateway.stop().await;

    // The mode in the settings has priority over the kept state. A gateway starts even if the kept state is broken.
    let file = settings_in(directory.path(), "mode = \"open\"");
    let switched = Running::start(Plan { settings: Some(file), ..touchy_in(&directory, server.uri()) }).await;
    assert_eq!(switched.state().await, "forced_open");
    fs::write(directory.path().join("state/upstream.snapshot"), "rubbish").unwrap();
    assert_eq!(Running::start(touchy()).await.state().await, "closed");
}

fn touchy_in(directory: &tempfile::TempDir, upstream: Uri) -> Plan {
    Plan { state: Some(directory.path().join("state")), ..plan(upstream) }
}

#[tokio::test]
async fn shutdown_waits_for_answers_and_not_for_watchers() {
    let server = upstream::Upstream::start(1).await.unwrap();
    let gateway = Running::start(plan(server.uri())).await;
    let mut watching = gateway.ask(Method::GET, "/events").await.into_body();
    assert!(in_time(watching.frame()).await.unwrap().is_ok());
    let answer = gateway.ask(Method::GET, &format!("/upstream{STREAM}")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    // It may drain for longer than this test takes. So if it ends, it does because all answers have ended.
    let (readings, lines, watched) = tokio::join!(gateway.stop(), answer.into_body().collect(), watching.collect());
    assert!(watched.is_ok());
    assert!(lines.unwrap().to_bytes().ends_with(b"line 8 of 8\n"));
    assert_eq!(readings[0].success, 1);

    // It does not wait longer than it may for an answer that never ends.
    let patience = Patience { drain: Duration::from_millis(50), ..PATIENT };
    let gateway = Running::start(Plan { patience, ..plan(says(HALF, false).await) }).await;
    let _held = gateway.ask(Method::GET, "/upstream/x").await;
    gateway.stop().await;
}
