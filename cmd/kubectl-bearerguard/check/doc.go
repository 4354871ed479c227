// Package check decides a request offline and explains the verdict: which issuer takes the token or why not, and what
// each rule of each policy had to do with it.
//
// It decides with the sidecar's own gate, so that it cannot disagree with it, and does no I/O: files come as bytes and
// the time as a value. Key sources that only the network can resolve stay unresolved unless keys for them are given.
package check
