//! The front end's way in: the Connect protocol and gRPC-Web.

mod browsers;
mod connect;
mod errors;
mod hostile;
