// Package secevent reads what identity providers send of tokens that are to be taken back: logout tokens (OpenID Connect Back-Channel Logout
// 1.0) and security event tokens (RFC 8417). It is pure: bytes, keys and the time come in; what the token says, or an error that names what is
// wrong with it, comes out. No error has a value of a token in it.
//
// A token is read as strictly as an access token in a sidecar: one spelling of each part, JSON with one meaning, an algorithm and a key that
// are chosen here. Only asymmetric algorithms are taken: whoever holds a shared secret could take everybody's tokens back.
package secevent
