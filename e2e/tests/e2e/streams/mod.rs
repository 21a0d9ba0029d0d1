//! Streams and tunnels: exec, attach, port-forward and cp as kubectl and client-go do them, over SPDY and WebSocket,
//! directly and through every proxy, and what becomes of them when something fails.
//!
//! Pods are on two nodes of one member: kwok's, whose exec, port-forward and logs are real but whose attach only
//! follows a file and whose exec loses exit codes and the end of stdin; and the lab's own stand-in for a kubelet
//! ([`e2e::lab::Kubelet`]), for exit codes, terminals, cp and attach with stdin.

mod kinds;
mod konnectivity;
mod kubectl;
mod lab;
mod lifecycle;
mod many;
mod place;
mod refusals;
mod transports;
