// Package revsource serves RevocationSources: it takes what identity providers send, has it read by package secevent, and acknowledges it
// once package revstore has stored it. From there the chunks take the way of all revocations, to the sidecars of the namespace.
//
// Every replica receives, since whichever a provider reaches must do; the one that leads writes statuses.
//
// Whoever can reach the port may send anything. So what comes is bounded before it is looked at: connections, one address's share of them
// and of requests, the size of a body, how many signatures are verified at a time, and how often keys are fetched because of a key id that
// nobody knows. What has come before costs a hash and no signature.
package revsource
