//! One client of a comparison: its process, and the results of its windows.

use std::ffi::OsString;
use std::path::Path;

use super::process::{Process, ProcessError, Server, this_program};
use super::{Plan, counts, foreign, two_cpus};
use crate::load::{Order, Window};
use crate::peers::Kind;
use crate::report::{LeftOut, Row};

/// A client of the comparison.
pub(super) struct Contender {
    name: String,
    /// How it is started, on its CPU.
    command: Vec<OsString>,
    /// The arguments to this program, where it is one of its own.
    args: Option<Vec<String>>,
    process: Process,
    /// The server that it brings, if it does.
    server: Option<Server>,
    windows: Vec<(usize, Window)>,
}

impl Contender {
    /// A client of this program.
    pub(super) async fn own(kind: Kind, port: u16) -> Result<Self, LeftOut> {
        let left_out = |why: String| LeftOut::new(kind.name(), why);
        if let Some(feature) = kind.lacks() {
            return Err(left_out(format!("built without the feature `{feature}`")));
        }
        let (gateway_cpu, client_cpu) = two_cpus();
        let (port, server) = if kind == Kind::Jsonrpsee {
            let server = Server::start("jsonrpsee's server", &["jsonrpsee-server", "--cpu", &gateway_cpu]).await;
            let server = server.map_err(|error| left_out(error.to_string()))?;
            (server.port, Some(server))
        } else {
            (port, None)
        };
        let port = port.to_string();
        let args = ["client", kind.name(), "--port", &port, "--cpu", &client_cpu];
        let command = this_program(&args).map_err(|error| left_out(error.to_string()))?;
        let args = args.map(Into::into).into();
        Self::start(kind.name(), command, Some(args), server).await
    }

    /// A client in another language.
    pub(super) async fn foreign(name: &str, mode: &str, port: u16, folder: &Path) -> Result<Self, LeftOut> {
        let left_out = |why: String| LeftOut::new(name, why);
        let (_, cpu) = two_cpus();
        let program = if mode.is_empty() {
            foreign::official(folder).await
        } else {
            foreign::python(folder).await
        };
        let program = program.map_err(|missing| left_out(missing.to_string()))?;
        let pinned = this_program(&["pinned", "--cpu", &cpu, "--"]);
        let mut command = pinned.map_err(|error| left_out(error.to_string()))?;
        command.extend(program);
        if !mode.is_empty() {
            command.push(mode.into());
        }
        command.push(port.to_string().into());
        Self::start(name, command, None, None).await
    }

    async fn start(
        name: &str,
        command: Vec<OsString>,
        args: Option<Vec<String>>,
        server: Option<Server>,
    ) -> Result<Self, LeftOut> {
        let started = Process::start(name, &command).await;
        let (process, _ready) = started.map_err(|error| LeftOut::new(name, error.to_string()))?;
        Ok(Self {
            name: name.into(),
            command,
            args,
            process,
            server,
            windows: Vec::new(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Runs one window.
    pub(super) async fn window(&mut self, order: Order) -> Result<(), ProcessError> {
        let window = self.process.window(order).await?;
        self.windows.push((order.depth, window));
        Ok(())
    }

    /// Ends the client, makes the counts in separate processes, and makes the rows of the table.
    /// A count that is not possible is reported and left out.
    pub(super) async fn finish(self, plan: &Plan, say: impl Fn(&str)) -> Vec<Row> {
        self.process.finish().await;
        let mut rows = Vec::new();
        for &depth in &plan.depths {
            let windows = self
                .windows
                .iter()
                .filter(|(at, _)| *at == depth)
                .map(|(_, window)| *window);
            let mut row = Row::new(&self.name, depth, windows.collect());
            if plan.counts
                && depth > 1
                && let Err(error) = count(&mut row, &self.command, self.args.as_deref(), plan).await
            {
                say(&format!("not counted: {error}"));
            }
            rows.push(row);
        }
        drop(self.server);
        rows
    }
}

async fn count(row: &mut Row, command: &[OsString], args: Option<&[String]>, plan: &Plan) -> Result<(), ProcessError> {
    if counts::is_there("strace") {
        let connects = row.client == super::PER_CALL;
        let calls = counts::system_calls(command, row.depth, &plan.folder, connects).await?;
        (row.sends, row.receives) = (Some(calls.sends), Some(calls.receives));
    }
    let Some(args) = args else { return Ok(()) };
    if counts::is_there("valgrind") {
        row.instructions = counts::instructions(command, row.depth).await?;
    }
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    row.allocations = counts::allocations(&args, row.depth).await?;
    Ok(())
}
