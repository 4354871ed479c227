// Package capture sends a pod's inbound TCP to the sidecar, and tells the sidecar where a connection was going.
//
// Install runs once, in an init container whose one capability is NET_ADMIN. It writes an nftables table into the
// pod's network namespace that redirects every inbound TCP connection, whatever its port, to the sidecar's port; so the
// pod's address and its undeclared ports are no way around the guard. Left alone are
//
//   - connections that come in over loopback: the sidecar's own to the app, whatever address of the pod it dials, and
//     containers of the pod among themselves;
//   - connections to the sidecar's port itself and to the excluded ports.
//
// The sidecar needs no capability: OriginalDst reads the address that the client dialled from the socket.
// UDP is not captured: an app that serves HTTP/3 does so beside the guard.
package capture
