// Package introspect asks issuers about tokens (RFC 7662): it finds the endpoint, shows the credential, and bounds what may run at a
// time, how long, and how much is read. What an answer means is not its business (sidecar/token), nor which tokens are asked
// about (sidecar/gate).
//
// The token and the credential are in no error and in no log.
package introspect
