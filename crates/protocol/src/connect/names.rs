//! The closed vocabularies of `connect`.

use crate::names::wire_names;

wire_names! {
    /// `client.id`. Gateways refuse any other name; a supervisor is `gateway-client`.
    pub enum ClientId {
        GatewayClient = "gateway-client",
        Cli = "cli",
        ControlUi = "openclaw-control-ui",
        Webchat = "webchat",
        WebchatUi = "webchat-ui",
        MacOs = "openclaw-macos",
        Ios = "openclaw-ios",
        Android = "openclaw-android",
        NodeHost = "node-host",
        Probe = "openclaw-probe",
        Test = "test",
        Fingerprint = "fingerprint",
        /// Not known to 2026.3.13.
        Tui = "openclaw-tui",
        /// Not known to 2026.3.13.
        Linux = "openclaw-linux",
        /// Not known to 2026.3.13.
        WatchOs = "openclaw-watchos",
        /// Not known to 2026.3.13.
        Worker = "openclaw-worker",
        /// Not known to 2026.3.13.
        BrowserCopilot = "openclaw-browser-copilot",
    }
}

wire_names! {
    /// `client.mode`. Gateways refuse any other name.
    pub enum ClientMode {
        Backend = "backend",
        Cli = "cli",
        Ui = "ui",
        Webchat = "webchat",
        Node = "node",
        Probe = "probe",
        Test = "test",
        /// Not known to 2026.3.13.
        Worker = "worker",
    }
}

wire_names! {
    /// `role`. Gateways refuse any other name.
    pub enum Role {
        Operator = "operator",
        Node = "node",
        /// Not known to 2026.3.13.
        Worker = "worker",
    }
}

wire_names! {
    /// The rights of an operator. Gateways accept unknown names without a word.
    pub enum Scope {
        Read = "operator.read",
        Write = "operator.write",
        Admin = "operator.admin",
        Approvals = "operator.approvals",
        Pairing = "operator.pairing",
        Questions = "operator.questions",
        Talk = "operator.talk",
    }
}

impl Scope {
    /// The rights that a supervisor needs: all but talk and questions, which generation 3 does not know.
    pub fn supervisor() -> Vec<Self> {
        vec![Self::Read, Self::Write, Self::Admin, Self::Approvals, Self::Pairing]
    }
}
