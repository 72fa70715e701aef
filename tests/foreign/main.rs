//! The real service and the sandbox, as clients in other languages and tools that people use see them.
//!
//! Each client is a child process; `scripts/test-tools` installs them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod auth0_sdk;
mod buf;
mod child;
mod envoy;
mod grpcurl;
mod mesh;
mod mutual_tls;
mod node;
mod oidc_provider;
mod openssl;
mod playground;
mod program;
mod python;
mod rotation;
mod stage;
mod testssl;
mod tools;
mod web;
