//! A service over simulated gateways, and a client that compares each response with the OpenAPI document.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use windlass::store::{MemoryStore, Store};
use windlass::{DeviceIdentity, LineStatus, Secret, Windlass};
use windlass_operations::tokens::ApiToken;
use windlass_operations::{Service, ServiceParts};
use windlass_serve::Authenticator;
use windlass_serve::server::router;
use windlass_testkit::SimGateway;

/// The token of the simulated gateways.
const TOKEN: &str = "secret of the simulated gateways";
/// Longest wait for what happens in the background.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running service.
pub(crate) struct Bench {
    pub(crate) service: Service,
    pub(crate) sims: Vec<SimGateway>,
    router: Router,
    document: Arc<Value>,
    pub(crate) admin: String,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Reply {
    /// The body of a response with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    /// The code of a problem with this status.
    #[track_caller]
    pub(crate) fn problem(self, status: u16) -> String {
        let body = self.expect(status);
        body["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Bench {
    /// A service without gateways.
    pub(crate) async fn start() -> Self {
        let store = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
        let windlass = Windlass::start().unwrap();
        let agents = windlass
            .agents(Arc::clone(&store))
            .device(Arc::new(DeviceIdentity::from_seed([7; 32])))
            .secrets(|name| (name == "sim").then(|| Secret::new(TOKEN)))
            .start()
            .await
            .unwrap();
        let writer = windlass.journal(Arc::clone(&store)).writer().start().await.unwrap();
        let parts = ServiceParts {
            windlass,
            store,
            agents,
            writer: Some(writer),
            configured: Vec::new(),
            clock: Arc::new(windlass::TokioClock::start()),
        };
        let service = Service::start(parts).await.unwrap();
        let admin = ApiToken::from_bytes([1; 32]);
        let router = router(service.clone(), Authenticator::new(&admin), &[]);
        Self {
            service,
            sims: Vec::new(),
            router,
            document: Arc::new(serde_json::to_value(windlass_serve::openapi::document()).unwrap()),
            admin: admin.expose().to_owned(),
        }
    }

    /// A simulated gateway of this release, and the body that records it.
    pub(crate) async fn simulated(&mut self, name: &str, release: &str) -> Value {
        let sim = SimGateway::builder()
            .release(release)
            .token(TOKEN)
            .start_tcp()
            .await
            .unwrap();
        let body = json!({
            "name": name, "url": sim.url(), "token": "host:sim", "workspace_root": "/srv/agents",
            "base_url": "http://127.0.0.1:7420/api/v1",
        });
        self.sims.push(sim);
        body
    }

    /// A service with one gateway, called `lab`, whose line is up.
    pub(crate) async fn with_gateway() -> Self {
        let mut bench = Self::start().await;
        let body = bench.simulated("lab", "2026.9.6").await;
        bench.post("/api/v1/gateways", body).await.expect(201);
        bench.wait_up("lab").await;
        bench
    }

    /// Waits until the line of a gateway is up.
    pub(crate) async fn wait_up(&self, gateway: &str) {
        let mut status = self.service.line(gateway).unwrap().status();
        let up = tokio::time::timeout(PATIENCE, status.wait_for(LineStatus::is_up)).await;
        up.expect("the line comes up").unwrap();
    }

    /// Waits until an operation has ended, and returns it.
    pub(crate) async fn ended(&self, operation: &Value) -> Value {
        let path = format!("/api/v1/operations/{}", operation["id"].as_str().unwrap());
        let end = tokio::time::timeout(PATIENCE, async {
            loop {
                let operation = self.get(&path).await.expect(200);
                if operation["state"] != "running" {
                    return operation;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        end.await.expect("the operation ends")
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[("authorization", &self.bearer())], None)
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, &[("authorization", &self.bearer())], Some(body))
            .await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PATCH, path, &[("authorization", &self.bearer())], Some(body))
            .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[("authorization", &self.bearer())], None)
            .await
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.admin)
    }

    /// Sends a request, and compares the response with the document.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Reply {
        let mut request = Request::builder()
            .method(&method)
            .uri(path)
            .header("host", "127.0.0.1:7420");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 64 * 1024 * 1024).await.unwrap();
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{method} {path}: no JSON: {error}"))
        };
        self.check(&method, path, status, &body);
        Reply { status, body }
    }

    /// The text of a successful response.
    pub(crate) async fn text(&self, path: &str) -> String {
        let request = Request::builder()
            .uri(path)
            .header("host", "127.0.0.1:7420")
            .header("authorization", self.bearer());
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let bytes = to_bytes(response.into_body(), 64 * 1024 * 1024).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    /// Opens a stream of server-sent events.
    pub(crate) async fn stream(&self, path: &str, last: Option<&str>) -> EventReader {
        let mut request = Request::builder()
            .uri(path)
            .header("host", "127.0.0.1:7420")
            .header("authorization", self.bearer());
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        EventReader {
            body: response.into_body().into_data_stream(),
            text: String::new(),
            last: None,
            retry: None,
        }
    }

    /// Compares a response with the document: its status is named there, and its body has the shape.
    fn check(&self, method: &Method, path: &str, status: StatusCode, body: &Value) {
        let path = path.split('?').next().unwrap_or_default();
        let Some(operation) = self.operation(method, path) else {
            assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path} is not in the document");
            return;
        };
        let response = &operation["responses"][status.as_str()];
        assert!(
            response.is_object(),
            "{method} {path}: the document has no status {status}: {body}"
        );
        let Some(content) = response["content"].as_object() else {
            assert!(
                body.is_null(),
                "{method} {path}: {status} has no body in the document: {body}"
            );
            return;
        };
        let schema = content
            .values()
            .next()
            .map_or(&Value::Null, |content| &content["schema"]);
        let schema = json!({"components": self.document["components"], "allOf": [schema]});
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator.iter_errors(body).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{method} {path}: {status}: {errors:?} in {body}");
    }

    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let is_meant = |template: &str| {
            let (mut wanted, mut given) = (template.split('/'), path.split('/'));
            loop {
                match (wanted.next(), given.next()) {
                    (None, None) => return true,
                    (Some(wanted), Some(given)) if wanted == given || wanted.starts_with('{') => {}
                    _ => return false,
                }
            }
        };
        let paths = self.document["paths"].as_object()?;
        let exact = paths.get(path);
        let found = exact.or_else(|| {
            paths
                .iter()
                .find(|(template, _)| is_meant(template))
                .map(|(_, found)| found)
        });
        found?.get(method.as_str().to_lowercase())
    }

    /// Ends the service and its gateways.
    pub(crate) async fn end(self) {
        self.service.shutdown().await;
        for sim in self.sims {
            sim.shutdown().await;
        }
    }
}

/// A client of a stream.
pub(crate) struct EventReader {
    body: axum::body::BodyDataStream,
    text: String,
    /// The last `id`.
    pub(crate) last: Option<String>,
    /// The last `retry`, in milliseconds.
    pub(crate) retry: Option<u64>,
}

impl EventReader {
    /// The next event with its data; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        let next = tokio::time::timeout(PATIENCE, self.read());
        next.await.expect("an event or the end of the stream")
    }

    /// The next event of this name.
    pub(crate) async fn next_of(&mut self, wanted: &str) -> Value {
        loop {
            let (name, data) = self.next().await.expect("the stream goes on");
            if name == wanted {
                return data;
            }
        }
    }

    async fn read(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(event) = self.block(&block) {
                    return Some(event);
                }
            }
            let bytes = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    fn block(&mut self, block: &str) -> Option<(String, Value)> {
        let (mut name, mut data) = (String::new(), None);
        for line in block.lines() {
            match line.split_once(':').map(|(field, value)| (field, value.trim_start())) {
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("data", value)) => data = Some(serde_json::from_str(value).unwrap()),
                Some(("id", value)) => self.last = Some(value.to_owned()),
                Some(("retry", value)) => self.retry = value.parse().ok(),
                _ => {}
            }
        }
        data.map(|data| (name, data))
    }
}
