//! The OpenAPI document.

use axum::http::Method;
use serde_json::Value;

use crate::harness::Bench;

/// The committed document; `SNAPSHOTS=overwrite` writes it.
#[test]
fn the_committed_document_is_that_of_the_code() {
    let document = serde_json::to_string_pretty(&windlass_serve::openapi::document_json()).unwrap() + "\n";
    snapbox::assert_data_eq!(document, snapbox::file!["../../../../docs/openapi.json"]);
}

fn operations(document: &Value) -> Vec<(Method, String)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, operations): (&String, &Value)| {
        let methods: Vec<_> = operations.as_object().unwrap().keys().cloned().collect();
        let path = path.clone();
        methods
            .into_iter()
            .map(move |method| (method.to_uppercase().parse().unwrap(), path.clone()))
    };
    paths.iter().flat_map(of_path).collect()
}

#[tokio::test]
async fn each_operation_of_the_document_is_routed_and_refuses_a_request_without_a_token() {
    let bench = Bench::start().await;
    let document = serde_json::to_value(windlass_serve::openapi::document()).unwrap();
    let mut refused = 0;
    for (method, path) in operations(&document) {
        if path == "/livez" || path == "/readyz" {
            bench.send(method, &path, &[], None).await.expect(200);
            continue;
        }
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let concrete: Vec<&str> = path
            .split('/')
            .map(|part| if part.starts_with('{') { id } else { part })
            .collect();
        let code = bench
            .send(method.clone(), &concrete.join("/"), &[], None)
            .await
            .problem(401);
        assert_eq!(code, "unauthenticated", "{method} {path}");
        refused += 1;
    }
    assert!(refused > 30, "{refused}");
    bench.end().await;
}

#[tokio::test]
async fn what_is_not_in_the_document_is_not_found() {
    let bench = Bench::start().await;
    assert_eq!(bench.get("/api/v1/nothing").await.problem(404), "not_found");
    let unknown_host = [("host", "evil.example")];
    let reply = bench.send(Method::GET, "/livez", &unknown_host, None).await;
    assert_eq!(reply.status, 200, "the first Host counts");
    bench.end().await;
}

#[test]
fn each_operation_is_described_and_each_reference_resolves() {
    let document = serde_json::to_value(windlass_serve::openapi::document()).unwrap();
    let mut names = std::collections::BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let summary = operation["summary"].as_str().unwrap_or_default();
            assert!(!summary.is_empty(), "{method} {path} has no summary");
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} names two operations");
            assert!(operation["responses"].as_object().unwrap().len() > 1, "{method} {path}");
        }
    }
    let text = document.to_string();
    for (place, _) in text.match_indices("#/components/schemas/") {
        let name = text[place..]
            .trim_start_matches("#/components/schemas/")
            .split('"')
            .next()
            .unwrap();
        assert!(
            document["components"]["schemas"][name].is_object(),
            "{name} is not defined"
        );
    }
}
