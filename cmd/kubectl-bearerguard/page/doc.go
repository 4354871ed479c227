// Package page serves the pages that people look at, on this machine only: the playground, where a policy, a token or claims,
// and a request become an explained decision as they are typed.
//
// Decide is pure and decides with the sidecar's own engine (package check). The rest serves it and the embedded page, which
// needs nothing from any network, to a browser of this machine alone (see Handler).
package page
