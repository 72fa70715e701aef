//! A loopback stand-in for an Auth0 tenant and the identity providers behind it.
